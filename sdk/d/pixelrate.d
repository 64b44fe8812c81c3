/// What a schedule may ask for and declare: the contract (schedule.wit) for D.
module pixelrate;

import ldc.attributes : llvmAttr;

extern (C) @nogc nothrow:

// ---- The run: what stays the same for all of it.

@imported!("run", "total-steps") ulong totalSteps();
/// Steps that begin in an epoch, rounded up: an epoch is `trainExamples` over `batchSize` steps.
@imported!("run", "steps-per-epoch") ulong stepsPerEpoch();
@imported!("run", "train-examples") ulong trainExamples();
@imported!("run", "batch-size") uint batchSize();
@imported!("run", "seed") ulong seed();
@imported!("run", "param") private double runParam(const(char)* name, size_t length, double byDefault);
@imported!("run", "log") private void runLog(const(char)* message, size_t length);
@imported!("run", "fail") private void runFail(const(char)* message, size_t length);

/// Writes a line into the run's event log.
extern (D) void log(const(char)[] message)
{
    runLog(message.ptr, message.length);
}

/// Refuses to run: the trainer shows `message`.
extern (D) noreturn fail(const(char)[] message)
{
    runFail(message.ptr, message.length);
    assert(0);
}

/// What a failed `assert` and an index out of bounds become: the trainer shows where.
void __assert(const(char)* message, const(char)* file, int line)
{
    size_t length;
    while (message[length])
        ++length;
    fail(message[0 .. length]);
}

// ---- Training: the newest value before the step that is asked for, NaN where there is none yet.
// The trainer reads the loss back at every step for a plugin that calls one of these, and for no other.

@imported!("training", "train-loss") double trainLoss();
@imported!("training", "grad-norm") double gradNorm();
@imported!("training", "eval-loss") double evalLoss();
@imported!("training", "eval-accuracy") double evalAccuracy();
/// The step after which `evalLoss` and `evalAccuracy` were measured; 0 before the first.
@imported!("training", "eval-step") ulong evalStep();
/// Euclidean norm of all trained parameters before the step that is asked for: measured at every step for a plugin that
/// calls it.
@imported!("weights", "norm") double weightNorm();

// ---- Pictures, decoded by the trainer.

@imported!("images", "[static]image.open") private uint imageOpen(const(char)* param, size_t length, ulong samples);
@imported!("images", "[method]image.width") private uint imageWidth(uint image);
@imported!("images", "[method]image.height") private uint imageHeight(uint image);
@imported!("images", "[method]image.channels") private uint imageChannels(uint image);
@imported!("images", "[method]image.len") private ulong imageLen(uint image);
@imported!("images", "[method]image.value") private double imageValue(uint image, ulong index);
@imported!("images", "[resource-drop]image") private void imageDrop(uint image);

struct Picture
{
extern (D) @nogc nothrow:
    private uint handle;

    uint width() { return imageWidth(handle); }
    uint height() { return imageHeight(handle); }
    /// 1 for a grey picture, 3 (red, green, blue) for any other.
    uint channels() { return imageChannels(handle); }
    /// How many values there are: width * height * channels.
    ulong length() { return imageLen(handle); }
    /// One value in [0, 1]: row by row, pixel by pixel, channel by channel.
    double opIndex(ulong index) { return imageValue(handle, index); }
    /// Gives it back to the trainer; its values cannot be had any more.
    void close() { return imageDrop(handle); }
}

// ---- Parameters: declared once, by `mixin Parameters!(…)`; read as `params.name`.
// Names and docs go into JSON as they are: no `"` and no `\` in them.

/// Declares the parameters of a schedule, each a `number`, `family` or `picture`.
mixin template Parameters(declared...)
{
    export extern (C) const(void)* parameters()
    {
        return pixelrate.bytesOf!("[" ~ pixelrate.joinedJson!(pixelrate.parameterJson, declared) ~ "]");
    }

    struct params
    {
        /// The study's number or the default; of a picture what opens it.
        static auto opDispatch(string name)()
        {
            return pixelrate.parameterValue!(pixelrate.parameterNamed!(name, declared));
        }
    }
}

/// A number that a study may give; where it has `choices`, also by their names, which stand for 0, 1, 2, …
template number(string name, double byDefault, string doc, choices...)
{
    enum text = byDefault.stringof;
    static assert(mixin(text) == byDefault, "the default of " ~ name ~ " is told as " ~ text ~ ": write fewer digits");
    static if (choices.length)
        enum names = `,"choices":[` ~ joinedJson!(quotedJson, choices) ~ "]";
    else
        enum names = "";
    enum number = Parameter(name, `"default":` ~ text ~ names, doc, byDefault);
}

/// A family of numbers, `name_*`: ask for its members by `param`.
enum family(string name, string doc) = Parameter(name, `"kind":"number"`, doc);

/// A picture that a study names: `params.name.open(samples)`.
enum picture(string name, string doc) = Parameter(name, `"kind":"picture"`, doc);

/// The study's number for `name`, or `byDefault`: for a name that is only known at run time.
extern (D) double param(const(char)[] name, double byDefault)
{
    return runParam(name.ptr, name.length, byDefault);
}

struct PictureParameter
{
    private string name;

    /// Opens it, resized so that width * height * 3 is close to `samples` (0: not resized).
    extern (D) Picture open(ulong samples) @nogc nothrow
    {
        return Picture(imageOpen(name.ptr, name.length, samples));
    }
}

// ---- State: `mixin State!T` makes a variable `state` of the plain struct T, and carries it over a stop or into a
// replacement. Its bytes are those of T, little endian.

mixin template State(T)
{
    static assert(__traits(isPOD, T), "a state is a struct of numbers");
    __gshared T state;

    export extern (C) const(void)* save()
    {
        __gshared pixelrate.Bytes bytes;
        bytes = pixelrate.Bytes(&state, T.sizeof);
        return &bytes;
    }

    export extern (C) void restore(const(T)* saved, size_t length)
    {
        if (length != T.sizeof)
            pixelrate.fail("the state is of another schedule: it has not the length of " ~ T.stringof);
        state = *saved;
    }

    /// Where the trainer puts the bytes for `restore`: new pages, never given back, since a schedule restores once or
    /// twice a run.
    export extern (C) void* cabi_realloc(void* old, size_t oldSize, size_t alignment, size_t size)
    {
        // It is called with no way out: nothing can be said here of what does not fit.
        return pixelrate.newPages(size);
    }
}

// ---- What the above is made of.

pragma(LDC_intrinsic, "llvm.wasm.memory.grow.i32")
int wasmMemoryGrow(int memory, int pages);

/// Room for so many bytes; null if there is none.
void* newPages(size_t size)
{
    const page = wasmMemoryGrow(0, cast(int)(size / 65_536 + 1));
    return page < 0 ? null : cast(void*)(cast(size_t) page * 65_536);
}

struct Parameter
{
    string name;
    string facts;
    string doc;
    double byDefault;
}

enum parameterJson(Parameter p) = `{"name":"` ~ p.name ~ `",` ~ p.facts ~ `,"doc":"` ~ p.doc ~ `"}`;
enum quotedJson(string text) = `"` ~ text ~ `"`;

template joinedJson(alias convert, items...)
{
    static if (items.length > 1)
        enum joinedJson = convert!(items[0]) ~ "," ~ joinedJson!(convert, items[1 .. $]);
    else
        enum joinedJson = convert!(items[0]);
}

template parameterNamed(string name, declared...)
{
    static if (declared.length == 0)
        static assert(false, "the schedule declares no parameter " ~ name);
    else static if (declared[0].name == name)
        enum parameterNamed = declared[0];
    else
        enum parameterNamed = parameterNamed!(name, declared[1 .. $]);
}

extern (D) auto parameterValue(Parameter parameter)()
{
    static if (parameter.facts == `"kind":"picture"`)
        return PictureParameter(parameter.name);
    else
    {
        // Asked for once: a call of the trainer costs more than the arithmetic of most schedules.
        __gshared bool known;
        __gshared double number;
        if (!known)
        {
            number = param(parameter.name, parameter.byDefault);
            known = true;
        }
        return number;
    }
}

/// Bytes or text, as the contract takes them from a function.
struct Bytes
{
    const(void)* start;
    size_t length;
}

extern (D) const(void)* bytesOf(string content)()
{
    __gshared const bytes = Bytes(content.ptr, content.length);
    return &bytes;
}

/// Marks an import of the contract.
template imported(string part, string name)
{
    import std.meta : AliasSeq;

    alias imported = AliasSeq!(
        llvmAttr("wasm-import-module", "pixelrate:schedule/" ~ part ~ "@1.0.0"),
        llvmAttr("wasm-import-name", name),
    );
}
