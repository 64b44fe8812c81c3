package main

// The contract between a schedule and pixelrate. A function without a body is the contract's function of that name;
// those that a schedule does not call are not imported.

import (
	"math"
	"strconv"
	"strings"
	"structs"
	"unsafe"
)

// A plugin has no main: the trainer calls its exports.
func main() {}

// What stays the same for a whole run.

//go:wasmimport pixelrate:schedule/run@1.0.0 total-steps
func totalSteps() uint64

// stepsPerEpoch counts the steps that begin in an epoch: rounded up.
//
//go:wasmimport pixelrate:schedule/run@1.0.0 steps-per-epoch
func stepsPerEpoch() uint64

//go:wasmimport pixelrate:schedule/run@1.0.0 train-examples
func trainExamples() uint64

//go:wasmimport pixelrate:schedule/run@1.0.0 batch-size
func batchSize() uint32

//go:wasmimport pixelrate:schedule/run@1.0.0 seed
func seed() uint64

// param is the number that the study gives for name, or fallback where it gives none.
//
//go:wasmimport pixelrate:schedule/run@1.0.0 param
func param(name string, fallback float64) float64

// logLine writes a line into the run's event log.
//
//go:wasmimport pixelrate:schedule/run@1.0.0 log
func logLine(message string)

// fail ends the run, and shows message to the user. It does not return.
//
//go:wasmimport pixelrate:schedule/run@1.0.0 fail
func fail(message string)

// What training has just shown: the newest value, NaN where there is none yet. A schedule that calls any of these makes
// the trainer read the loss back at every step.

//go:wasmimport pixelrate:schedule/training@1.0.0 train-loss
func trainLoss() float64

//go:wasmimport pixelrate:schedule/training@1.0.0 grad-norm
func gradNorm() float64

//go:wasmimport pixelrate:schedule/training@1.0.0 eval-loss
func evalLoss() float64

//go:wasmimport pixelrate:schedule/training@1.0.0 eval-accuracy
func evalAccuracy() float64

// evalStep is the step after which evalLoss and evalAccuracy were measured; 0 before the first.
//
//go:wasmimport pixelrate:schedule/training@1.0.0 eval-step
func evalStep() uint64

// weightNorm is the Euclidean norm of all trained parameters before the step that is asked for. A plugin that calls it
// makes the trainer measure it at every step.
//
//go:wasmimport pixelrate:schedule/weights@1.0.0 norm
func weightNorm() float64

// picture is a picture that the study names, decoded by the trainer.
type picture int32

// openPicture opens the picture that the study's parameter param names, resized so that width * height * 3 is close to
// samples (0: not resized). It needs a run: call it in init.
//
//go:wasmimport pixelrate:schedule/images@1.0.0 [static]image.open
func openPicture(param string, samples uint64) picture

//go:wasmimport pixelrate:schedule/images@1.0.0 [method]image.width
func (p picture) width() uint32

//go:wasmimport pixelrate:schedule/images@1.0.0 [method]image.height
func (p picture) height() uint32

// channels is 1 for a grey picture, 3 (red, green, blue) for any other.
//
//go:wasmimport pixelrate:schedule/images@1.0.0 [method]image.channels
func (p picture) channels() uint32

// len is how many values there are: width * height * channels.
//
//go:wasmimport pixelrate:schedule/images@1.0.0 [method]image.len
func (p picture) len() uint64

// value is one value in [0, 1]: row by row, pixel by pixel, channel by channel.
//
//go:wasmimport pixelrate:schedule/images@1.0.0 [method]image.value
func (p picture) value(index uint64) float64

// close lets go of the picture.
//
//go:wasmimport pixelrate:schedule/images@1.0.0 [resource-drop]image
func (p picture) close()

// The plugin's parameters, each written down once, as a variable of the package.

var declared []string

// number declares a parameter, and is the study's number for it, or fallback where the study gives none. Choices are
// names for 0, 1, 2, … that a study may write instead. The name of a numbered family ends in *; its fallback is NaN, and
// its members are asked for by param.
func number(name string, fallback float64, doc string, choices ...string) float64 {
	more := ""
	if !math.IsNaN(fallback) {
		more += `,"default":` + strconv.FormatFloat(fallback, 'g', -1, 64)
	}
	if len(choices) > 0 {
		words := make([]string, len(choices))
		for i, choice := range choices {
			words[i] = strconv.Quote(choice)
		}
		more += `,"choices":[` + strings.Join(words, ",") + "]"
	}
	declare(name, doc, more)
	return param(name, fallback)
}

// pictureName declares a parameter that names a picture, and is what openPicture wants: the parameter's own name.
func pictureName(name, doc string) string {
	declare(name, doc, `,"kind":"picture"`)
	return name
}

// declare writes JSON by hand, since encoding/json would more than double the plugin.
func declare(name, doc, more string) {
	declared = append(declared, `{"name":`+strconv.Quote(name)+`,"doc":`+strconv.Quote(doc)+more+"}")
}

//go:wasmexport parameters
func parameters() *buffer {
	return give([]byte("[" + strings.Join(declared, ",") + "]"))
}

// How text and bytes pass between the trainer and a plugin.

// buffer is what an export returns that gives text or bytes: where they lie, and how many they are.
type buffer struct {
	_             structs.HostLayout
	start, length uint32
}

// What the trainer is about to read, and what it has written: here the garbage collector sees that they are in use.
var (
	given   []byte
	giving  buffer
	written []byte
)

// give makes of data what save returns.
func give(data []byte) *buffer {
	given = data
	giving.start = uint32(uintptr(unsafe.Pointer(unsafe.SliceData(data))))
	giving.length = uint32(len(data))
	return &giving
}

// cabiRealloc makes room for what the trainer gives, which is the argument of restore.
//
//go:wasmexport cabi_realloc
func cabiRealloc(_ unsafe.Pointer, _, _, size uint32) unsafe.Pointer {
	written = make([]byte, size)
	return unsafe.Pointer(unsafe.SliceData(written))
}
