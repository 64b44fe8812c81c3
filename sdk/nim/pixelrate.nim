## What a schedule may ask for and declare: the contract (schedule.wit) for Nim.

import std/[macros, strutils, typetraits]

proc declareTo(procedure: NimNode, pragma, symbol, attributes: string) {.compileTime.} =
  # C knows the procedure by a name that nothing else has, and the linker by the contract's.
  let inC = symbol.multiReplace(("-", "_"), ("[", ""), ("]", "_"), (".", "_"))
  procedure.addPragma newColonExpr(ident(pragma), newLit(inC))
  procedure.addPragma newColonExpr(ident"codegenDecl", newLit("__attribute__((" & attributes & ")) $# $#$#"))

macro imported(part, name: static string, procedure: untyped): untyped =
  ## Takes the procedure from the trainer.
  let attributes = "import_module(\"pixelrate:schedule/" & part & "@1.0.0\"), import_name(\"" & name & "\")"
  procedure.declareTo("importc", "pixelrate_" & part & "_" & name, attributes)
  procedure

macro exported*(name: static string, procedure: untyped): untyped =
  ## Gives the procedure to the trainer under the contract's `name`.
  procedure.declareTo("exportc", "pixelrate_exported_" & name, "export_name(\"" & name & "\")")
  procedure

type Bytes = object
  ## Bytes or text, as the contract takes them from a procedure.
  start: pointer
  length: csize_t

# The variables of modules get their first values as the module starts.
proc nimMain() {.importc: "NimMain", cdecl.}
proc start() {.exportc: "pixelrate_start", codegenDecl: "__attribute__((constructor)) $# $#$#".} =
  nimMain()

# ---- The run: what stays the same for all of it.

proc totalSteps*(): uint64 {.imported("run", "total-steps").}
proc stepsPerEpoch*(): uint64 {.imported("run", "steps-per-epoch").}
  ## Steps that begin in an epoch, rounded up: an epoch is `trainExamples` over `batchSize` steps.
proc trainExamples*(): uint64 {.imported("run", "train-examples").}
proc batchSize*(): uint32 {.imported("run", "batch-size").}
proc seed*(): uint64 {.imported("run", "seed").}
proc runParam(name: cstring, length: csize_t, default: float64): float64 {.imported("run", "param").}
proc runLog(message: cstring, length: csize_t) {.imported("run", "log").}
proc runFail(message: cstring, length: csize_t) {.imported("run", "fail").}

proc log*(message: string) =
  ## Writes a line into the run's event log.
  runLog(message.cstring, csize_t(message.len))

proc fail*(message: string) {.noreturn.} =
  ## Refuses to run: the trainer shows `message`. So does a `doAssert` that fails.
  runFail(message.cstring, csize_t(message.len))
  while true: discard

# ---- Training: the newest value before the step that is asked for, NaN where there is none yet.
# The trainer reads the loss back at every step for a plugin that calls one of these, and for no other.

proc trainLoss*(): float64 {.imported("training", "train-loss").}
proc gradNorm*(): float64 {.imported("training", "grad-norm").}
proc evalLoss*(): float64 {.imported("training", "eval-loss").}
proc evalAccuracy*(): float64 {.imported("training", "eval-accuracy").}
proc evalStep*(): uint64 {.imported("training", "eval-step").}
  ## The step after which `evalLoss` and `evalAccuracy` were measured; 0 before the first.

proc weightNorm*(): float64 {.imported("weights", "norm").}
  ## Euclidean norm of all trained parameters before the step that is asked for: measured at every step for a plugin
  ## that calls it.

# ---- Pictures, decoded by the trainer.

type
  Picture* = distinct uint32
  PictureParameter* = distinct string

proc imageOpen(param: cstring, length: csize_t, samples: uint64): Picture {.imported("images", "[static]image.open").}

proc width*(picture: Picture): uint32 {.imported("images", "[method]image.width").}
proc height*(picture: Picture): uint32 {.imported("images", "[method]image.height").}
proc channels*(picture: Picture): uint32 {.imported("images", "[method]image.channels").}
  ## 1 for a grey picture, 3 (red, green, blue) for any other.
proc len*(picture: Picture): uint64 {.imported("images", "[method]image.len").}
  ## How many values there are: width * height * channels.
proc `[]`*(picture: Picture, index: uint64): float64 {.imported("images", "[method]image.value").}
  ## One value in [0, 1]: row by row, pixel by pixel, channel by channel.
proc close*(picture: Picture) {.imported("images", "[resource-drop]image").}
  ## Gives it back to the trainer; its values cannot be had any more.

proc open*(parameter: PictureParameter, samples: uint64): Picture =
  ## Opens it, resized so that width * height * 3 is close to `samples` (0: not resized).
  let name = string(parameter)
  imageOpen(name.cstring, csize_t(name.len), samples)

# ---- Parameters.

proc param*(name: string, default: float64): float64 =
  ## The study's number for `name`, or `default`: for a name that is only known at run time.
  runParam(name.cstring, csize_t(name.len), default)

template declare*(json: static string) =
  ## What `parameters` ends in.
  proc parameters(): pointer {.exported: "parameters".} =
    var text {.global.}: Bytes
    text = Bytes(start: cstring(json), length: csize_t(json.len))
    addr text

macro parameters*(declarations: untyped): untyped =
  ## Declares the parameters of a schedule:
  ##
  ##     parameters:
  ##       number max_lr, 0.1, "A number that a study may give."
  ##       number mode, 0, "One that it may also name.", ["first", "second"]
  ##       family "stage_*", "Numbers to ask for by `param`."
  ##       picture image, "A picture to `open`."
  ##
  ## A number is then read as `maxLr` (or `max_lr`). Docs go into JSON as they are: no `"` and no `\` in them.
  result = newStmtList()
  var json = newLit("[")
  template add(part: NimNode) = json = infix(json, "&", part)
  for i, declaration in declarations:
    let
      kind = declaration[0].strVal
      name = declaration[1].strVal
      doc = declaration[if kind == "number": 3 else: 2].strVal
      parameter = ident(name)
    add newLit((if i > 0: ",{" else: "{") & "\"name\":\"" & name & "\",\"doc\":\"" & doc & "\"")
    case kind
    of "number":
      let
        default = newCall("float64", declaration[2])
        reader = genSym(nskProc, name)
      add newLit(",\"default\":")
      add prefix(default, "$")
      if declaration.len > 4:
        var choices: seq[string]
        for choice in declaration[4]:
          choices.add("\"" & choice.strVal & "\"")
        add newLit(",\"choices\":[" & choices.join(",") & "]")
      result.add quote do:
        proc `reader`(): float64 =
          # Asked for once: a call of the trainer costs more than the arithmetic of most schedules.
          var
            known {.global.} = false
            value {.global.} = 0.0
          if not known:
            value = param(`name`, `default`)
            known = true
          value
        template `parameter`(): float64 = `reader`()
    of "picture":
      add newLit(",\"kind\":\"picture\"")
      result.add quote do:
        template `parameter`(): PictureParameter = PictureParameter(`name`)
    of "family":
      discard
    else:
      error("a parameter is a number, a family or a picture", declaration)
    add newLit("}")
  add newLit("]")
  result.add newCall(bindSym"declare", json)

# ---- State.

proc wasmMemoryGrow*(memory: cint, pages: csize_t): csize_t {.importc: "__builtin_wasm_memory_grow", nodecl.}
  ## Pages that memory had before it grew; the greatest number if it cannot.

template carry*(state: typed) =
  ## Carries the variable `state`, an object of numbers, over a stop or into a replacement. Its bytes are those of the
  ## object, little endian.
  when not supportsCopyMem(typeof(state)):
    {.error: "a state is an object of numbers".}

  proc save(): pointer {.exported: "save".} =
    var bytes {.global.}: Bytes
    bytes = Bytes(start: addr state, length: csize_t(sizeof(state)))
    addr bytes

  proc restore(saved: pointer, length: csize_t) {.exported: "restore".} =
    if length != csize_t(sizeof(state)):
      fail("the state is of another schedule: its length is not that of " & $typeof(state))
    copyMem(addr state, saved, sizeof(state))

  proc reallocate(old: pointer, oldSize, alignment, size: csize_t): pointer {.exported: "cabi_realloc".} =
    # Where the trainer puts the bytes for `restore`: new pages, never given back, since a schedule restores once or twice
    # a run. It is called with no way out: nothing can be said here of what does not fit.
    let page = wasmMemoryGrow(0, size div 65_536 + 1)
    if page == high(csize_t): nil else: cast[pointer](page * 65_536)
