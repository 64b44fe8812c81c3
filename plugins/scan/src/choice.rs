//! Parameters whose values are words.

/// Declares an enumeration whose members a study names by words: the place of a word is its number.
macro_rules! choices {
    (
        $(#[$outer:meta])*
        $name:ident as $parameter:literal {
            $($(#[$inner:meta])* $member:ident = $word:literal,)+
        }
    ) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$inner])* $member,)+
        }

        impl $name {
            /// Every member, by its number.
            pub const ALL: &[Self] = &[$(Self::$member),+];
            /// Their words in a study, in the same order.
            pub const WORDS: &[&str] = &[$($word),+];

            /// Its word in a study.
            pub fn word(self) -> &'static str {
                Self::WORDS[self as usize]
            }

            /// The member of this number.
            ///
            /// # Errors
            /// What the number must be, in the user's words.
            pub fn of(number: f64) -> Result<Self, String> {
                let place = number as usize;
                match Self::ALL.get(place) {
                    Some(member) if place as f64 == number => Ok(*member),
                    _ => Err(format!(
                        "`{}` is {number}: must be one of {}",
                        $parameter,
                        Self::WORDS.join(", ")
                    )),
                }
            }
        }
    };
}

pub(crate) use choices;
