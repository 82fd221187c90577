//! Icons: one sprite that every page carries, and the references to it.
//!
//! The sprite is inlined because a reference to another file costs a round trip before the first paint. Drawn for a
//! 16 × 16 grid with a 1.5 stroke in the colour of the text.

use std::fmt;

use askama::filters::HtmlSafe;

/// `<svg><symbol id="i-…">…</svg>`, written once near the top of the body.
pub const SPRITE: Sprite = Sprite(include_str!("../assets/icons.svg"));

/// The sprite's markup; it is compiled in, so it needs no escaping.
#[derive(Clone, Copy, Debug)]
pub struct Sprite(&'static str);

impl fmt::Display for Sprite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl HtmlSafe for Sprite {}

/// A reference to one icon of the sprite; decorative, so hidden from assistive technology. Words stand beside it.
#[derive(Clone, Copy, Debug)]
pub struct Icon(&'static str);

/// The icon of that name; the template test checks that the sprite has it.
#[must_use]
pub const fn icon(name: &'static str) -> Icon {
    Icon(name)
}

impl fmt::Display for Icon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<svg class=\"icon\" aria-hidden=\"true\"><use href=\"#i-{}\"/></svg>", self.0)
    }
}

impl HtmlSafe for Icon {}
