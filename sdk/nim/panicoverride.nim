## What a failed check becomes: the trainer shows its message. Nim asks for a file of this name.

const runFailImport =
  "__attribute__((import_module(\"pixelrate:schedule/run@1.0.0\"), import_name(\"fail\"))) $# $#$#"

proc runFail(message: cstring, length: csize_t) {.importc: "pixelrate_run_fail", codegenDecl: runFailImport.}

proc rawoutput(message: string) =
  discard # Where it came from: `panic` has the message.

proc panic(message: string) {.noreturn.} =
  runFail(message.cstring, csize_t(message.len))
  while true: discard
