// A picture's pixels, row by row, as learning rates.
package main

var (
	image  = pictureName("image", "The picture: a file of the study's picture folder, or a built-in one.")
	baseLR = number("base_lr", 1e-5, "Learning rate of a black pixel.")
	maxLR  = number("max_lr", 1e-2, "Learning rate of a white pixel.")
)

var (
	pixels picture
	last   uint64
)

// Go keeps the name init for functions of its own.
//
//go:wasmexport init
func start() {
	pixels = openPicture(image, totalSteps())
	last = pixels.len() - 1
}

//go:wasmexport learning_rate
func learningRate(step uint64) float64 {
	return baseLR + (maxLR-baseLR)*pixels.value(min(step, last))
}
