//! The pictures that pixelrate brings along, as PNG files inside the binary: stand-ins for the seven of the blog post, and
//! five more that are worth a schedule.
//!
//! They are drawn by the project's own code, `images/examples/draw`; `images/README.md` tells what each is.

/// Every picture: its name in a study, and the bytes of its PNG file.
const PICTURES: [(&str, &[u8]); 12] = [
    ("alexnet", include_bytes!("../alexnet.png")),
    ("bad_mnist", include_bytes!("../bad_mnist.png")),
    ("galaxy", include_bytes!("../galaxy.png")),
    ("garden", include_bytes!("../garden.png")),
    ("get_out", include_bytes!("../get_out.png")),
    ("glass", include_bytes!("../glass.png")),
    ("hinton", include_bytes!("../hinton.png")),
    ("julia", include_bytes!("../julia.png")),
    ("mona_lisa", include_bytes!("../mona_lisa.png")),
    ("puppy", include_bytes!("../puppy.png")),
    ("sea", include_bytes!("../sea.png")),
    ("team_kakashi", include_bytes!("../team_kakashi.png")),
];

/// The PNG file of the picture of this name, without `.png`; none if there is none.
///
/// `bad_mnist` is 28x28 in 8-bit grey; the others are 8-bit RGB.
#[must_use]
pub fn get(name: &str) -> Option<&'static [u8]> {
    PICTURES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, bytes)| *bytes)
}

/// The names of all pictures, in alphabetical order.
pub fn names() -> impl Iterator<Item = &'static str> {
    PICTURES.iter().map(|(name, _)| *name)
}
