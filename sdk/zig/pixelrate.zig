//! Write a learning-rate schedule for pixelrate in Zig.
//!
//! A schedule exports the functions of the contract (sdk/wit/schedule.wit) that it needs, at least
//! `export fn @"learning-rate"(step: u64) f64`. This file has what it may ask for, and what makes declaring parameters
//! and carrying state short.

const std = @import("std");

/// What stays the same for a whole run.
pub const run = struct {
    const host = struct {
        extern "pixelrate:schedule/run@1.0.0" fn @"total-steps"() u64;
        extern "pixelrate:schedule/run@1.0.0" fn @"steps-per-epoch"() u64;
        extern "pixelrate:schedule/run@1.0.0" fn @"train-examples"() u64;
        extern "pixelrate:schedule/run@1.0.0" fn @"batch-size"() u32;
        extern "pixelrate:schedule/run@1.0.0" fn seed() u64;
        extern "pixelrate:schedule/run@1.0.0" fn param([*]const u8, usize, f64) f64;
        extern "pixelrate:schedule/run@1.0.0" fn log([*]const u8, usize) void;
        extern "pixelrate:schedule/run@1.0.0" fn fail([*]const u8, usize) noreturn;
    };

    /// Steps of the whole run.
    pub const totalSteps = host.@"total-steps";
    /// Steps that begin in an epoch, rounded up.
    pub const stepsPerEpoch = host.@"steps-per-epoch";
    /// Pictures in the training set.
    pub const trainExamples = host.@"train-examples";
    /// Pictures a step.
    pub const batchSize = host.@"batch-size";
    /// The run's seed.
    pub const seed = host.seed;

    /// The number that the study gives for `name`, or `default` where it gives none. See also `read`.
    pub fn param(name: []const u8, default: f64) f64 {
        return host.param(name.ptr, name.len, default);
    }

    /// Writes a line into the run's event log.
    pub fn log(message: []const u8) void {
        host.log(message.ptr, message.len);
    }

    /// Ends the run: the trainer shows `message` to the user.
    pub fn fail(message: []const u8) noreturn {
        host.fail(message.ptr, message.len);
    }
};

/// What training has just shown, NaN where there is nothing yet. A schedule that calls any of these makes the trainer
/// read the loss back at every step.
pub const training = struct {
    const host = struct {
        extern "pixelrate:schedule/training@1.0.0" fn @"train-loss"() f64;
        extern "pixelrate:schedule/training@1.0.0" fn @"grad-norm"() f64;
        extern "pixelrate:schedule/training@1.0.0" fn @"eval-loss"() f64;
        extern "pixelrate:schedule/training@1.0.0" fn @"eval-accuracy"() f64;
        extern "pixelrate:schedule/training@1.0.0" fn @"eval-step"() u64;
    };

    pub const trainLoss = host.@"train-loss";
    pub const gradNorm = host.@"grad-norm";
    pub const evalLoss = host.@"eval-loss";
    pub const evalAccuracy = host.@"eval-accuracy";
    /// The step after which `evalLoss` and `evalAccuracy` were measured; 0 before the first.
    pub const evalStep = host.@"eval-step";
};

/// The network itself: calling this makes the trainer measure it at every step.
pub const weights = struct {
    const host = struct {
        extern "pixelrate:schedule/weights@1.0.0" fn norm() f64;
    };

    /// Euclidean norm of all trained parameters before the step that is asked for.
    pub const norm = host.norm;
};

/// A picture, decoded by the trainer.
pub const Image = struct {
    handle: i32,

    const host = struct {
        extern "pixelrate:schedule/images@1.0.0" fn @"[static]image.open"([*]const u8, usize, u64) i32;
        extern "pixelrate:schedule/images@1.0.0" fn @"[method]image.width"(i32) u32;
        extern "pixelrate:schedule/images@1.0.0" fn @"[method]image.height"(i32) u32;
        extern "pixelrate:schedule/images@1.0.0" fn @"[method]image.channels"(i32) u32;
        extern "pixelrate:schedule/images@1.0.0" fn @"[method]image.len"(i32) u64;
        extern "pixelrate:schedule/images@1.0.0" fn @"[method]image.value"(i32, u64) f64;
        extern "pixelrate:schedule/images@1.0.0" fn @"[resource-drop]image"(i32) void;
    };

    /// Opens the file that the study's parameter `name` names, resized so that width * height * 3 is close to `samples`
    /// (0: not resized). A picture that cannot be had ends the run with a message.
    pub fn open(name: []const u8, samples: u64) Image {
        return .{ .handle = host.@"[static]image.open"(name.ptr, name.len, samples) };
    }

    pub fn width(image: Image) u32 {
        return host.@"[method]image.width"(image.handle);
    }

    pub fn height(image: Image) u32 {
        return host.@"[method]image.height"(image.handle);
    }

    /// 1 for a grey picture, 3 (red, green, blue) for any other.
    pub fn channels(image: Image) u32 {
        return host.@"[method]image.channels"(image.handle);
    }

    /// How many values there are: width * height * channels.
    pub fn len(image: Image) u64 {
        return host.@"[method]image.len"(image.handle);
    }

    /// One value in [0, 1]: row by row, pixel by pixel, channel by channel.
    pub fn value(image: Image, index: u64) f64 {
        return host.@"[method]image.value"(image.handle, index);
    }

    /// Frees it. One that stays open until the end of the run needs none of this.
    pub fn close(image: Image) void {
        host.@"[resource-drop]image"(image.handle);
    }
};

/// The type of a parameter that names a picture: `image: Picture = .{}`.
pub const Picture = struct {
    name: []const u8 = "",

    pub fn open(picture: Picture, samples: u64) Image {
        return Image.open(picture.name, samples);
    }
};

/// Text or bytes that an export gives: `parameters` and `save`.
pub const Bytes = extern struct { start: [*]const u8, length: usize };

/// What `parameters` exports: the fields of `Parameters` as JSON, made while compiling. A field is a number (`f64`), a
/// choice of words (an enum) or a `Picture`; its default is the parameter's, and `Parameters.docs` says what it means.
pub fn declare(comptime Parameters: type) *const Bytes {
    const declared = comptime bytes: {
        @setEvalBranchQuota(100_000);
        var json: []const u8 = "[";
        for (std.meta.fieldNames(Parameters), 0..) |name, i| {
            const default = @field(Parameters{}, name);
            json = json ++ (if (i > 0) "," else "") ++ "{\"name\":" ++ quoted(name) ++ switch (@TypeOf(default)) {
                Picture => ",\"kind\":\"picture\"",
                f64 => std.fmt.comptimePrint(",\"default\":{d}", .{default}),
                else => |Choice| std.fmt.comptimePrint(
                    ",\"default\":{d},\"choices\":[{s}]",
                    .{ place(default), words(Choice) },
                ),
            } ++ ",\"doc\":" ++ quoted(@field(Parameters.docs, name)) ++ "}";
        }
        json = json ++ "]";
        break :bytes Bytes{ .start = json.ptr, .length = json.len };
    };
    return &declared;
}

/// What the study gives for each field of `Parameters`, or else the field's default.
pub fn read(comptime Parameters: type) Parameters {
    var parameters: Parameters = .{};
    inline for (comptime std.meta.fieldNames(Parameters)) |name| {
        const default = @field(Parameters{}, name);
        @field(parameters, name) = switch (@TypeOf(default)) {
            Picture => .{ .name = name },
            f64 => run.param(name, default),
            else => choice(name, default),
        };
    }
    return parameters;
}

/// What `save` exports: `state`, a pointer to an extern struct, byte by byte as it lies in memory.
pub fn save(state: anytype) *const Bytes {
    const saved = struct {
        var bytes: Bytes = undefined;
    };
    saved.bytes = .{ .start = @ptrCast(state), .length = @sizeOf(@TypeOf(state.*)) };
    return &saved.bytes;
}

/// Puts what `save` gave back into `state`. Bytes of another length end the run with a message.
pub fn restore(state: anytype, start: [*]const u8, length: usize) void {
    comptime {
        // The trainer hands bytes over in memory that it asks the schedule for.
        @export(&allocate, .{ .name = "cabi_realloc" });
    }
    const bytes = std.mem.asBytes(state);
    if (length != bytes.len) {
        run.fail(std.fmt.comptimePrint("the state to restore must have {d} bytes", .{bytes.len}));
    }
    @memcpy(bytes, start[0..length]);
}

/// New pages of memory, never given back: a schedule restores once or twice a run.
fn allocate(_: usize, _: usize, _: usize, size: usize) callconv(.c) usize {
    const page = 64 * 1024;
    const grown = @wasmMemoryGrow(0, size / page + 1);
    if (grown < 0) @trap();
    return @as(usize, @intCast(grown)) * page;
}

fn choice(comptime name: []const u8, comptime default: anytype) @TypeOf(default) {
    const number = run.param(name, place(default));
    inline for (comptime std.enums.values(@TypeOf(default)), 0..) |value, i| {
        if (number == i) return value;
    }
    run.fail("`" ++ name ++ "` is none of its choices");
}

/// Choices pass as numbers: 0, 1, 2 …
fn place(comptime default: anytype) comptime_int {
    return std.mem.indexOfScalar(@TypeOf(default), std.enums.values(@TypeOf(default)), default).?;
}

fn words(comptime Choice: type) []const u8 {
    var json: []const u8 = "";
    for (std.meta.fieldNames(Choice), 0..) |word, i| {
        json = json ++ (if (i > 0) "," else "") ++ quoted(word);
    }
    return json;
}

/// `text` as JSON has it.
fn quoted(comptime text: []const u8) []const u8 {
    var json: []const u8 = "\"";
    for (text) |byte| {
        if (byte == '"' or byte == '\\') json = json ++ "\\";
        json = json ++ &[_]u8{byte};
    }
    return json ++ "\"";
}
