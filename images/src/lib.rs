//! The stand-ins for the seven pictures of the blog post, as PNG files inside the binary.
//!
//! They are drawn by the project's own code, `images/examples/draw`; `images/README.md` tells what each stands for.

/// Every picture: its name in a study, and the bytes of its PNG file.
const PICTURES: [(&str, &[u8]); 7] = [
    ("alexnet", include_bytes!("../alexnet.png")),
    ("bad_mnist", include_bytes!("../bad_mnist.png")),
    ("get_out", include_bytes!("../get_out.png")),
    ("hinton", include_bytes!("../hinton.png")),
    ("mona_lisa", include_bytes!("../mona_lisa.png")),
    ("puppy", include_bytes!("../puppy.png")),
    ("team_kakashi", include_bytes!("../team_kakashi.png")),
];

/// The PNG file of the picture of this name, without `.png`; none if there is no such stand-in.
///
/// `bad_mnist` is 28x28 in 8-bit grey; the others are 8-bit RGB.
#[must_use]
pub fn get(name: &str) -> Option<&'static [u8]> {
    PICTURES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, bytes)| *bytes)
}

/// The names of all stand-ins, in alphabetical order.
pub fn names() -> impl Iterator<Item = &'static str> {
    PICTURES.iter().map(|(name, _)| *name)
}
