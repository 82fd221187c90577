//! Markdown, and plain text with pseudonyms, as HTML that is safe to place in a page.
//!
//! Purpose: show what a model, a tool or a person wrote. All of it is hostile until proven otherwise.
//!
//! Invariant: [`TrustedHtml`] can be made here only, and holds nothing that the author of the text chose except escaped
//! text, the structure of CommonMark with tables, and links to `http:`, `https:` and `mailto:`. No raw HTML, no image
//! (an image is a request that tells its server who reads), no attribute of the author's, no inline style.
//!
//! Pseudonyms (`[EMAIL-1]`) become chips. A chip holds the label only; the original is fetched when a reader asks.

use std::fmt;

use askama::filters::HtmlSafe;
use pulldown_cmark::{Alignment, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, TextMergeStream, html};

/// HTML that was made by this module and may stand in a page as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedHtml(String);

impl TrustedHtml {
    /// The markup.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing to show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for TrustedHtml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for TrustedHtml {}

/// The longest type name in a pseudonym, in characters.
const TYPE_MAX: usize = 32;

/// The longest number in a pseudonym, in digits.
const NUMBER_MAX: usize = 9;

/// Markdown as HTML. Headings start at level 3, because a page has its own above them.
#[must_use]
pub fn render(markdown: &str) -> TrustedHtml {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut out = String::with_capacity(markdown.len() + markdown.len() / 2);
    let mut cleaner = Cleaner::default();
    let events = TextMergeStream::new(Parser::new_ext(markdown, options)).filter_map(|event| cleaner.clean(event));
    html::push_html(&mut out, events);
    TrustedHtml(out)
}

/// Plain text as HTML: escaped, pseudonyms as chips, nothing else.
#[must_use]
pub fn plain(text: &str) -> TrustedHtml {
    TrustedHtml(with_chips(text, true))
}

/// Rewrites the events of the parser, so that what reaches the writer is safe.
#[derive(Default)]
struct Cleaner {
    /// What closes each open link or image.
    open: Vec<&'static str>,
}

impl Cleaner {
    fn clean<'a>(&mut self, event: Event<'a>) -> Option<Event<'a>> {
        let markup = |text: String| Some(Event::InlineHtml(CowStr::from(text)));
        match event {
            Event::Start(Tag::Link { dest_url, .. }) => markup(self.open_link(&dest_url, "")),
            Event::Start(Tag::Image { dest_url, .. }) => markup(self.open_link(&dest_url, "image: ")),
            Event::End(TagEnd::Link | TagEnd::Image) => markup(self.open.pop().unwrap_or_default().to_owned()),
            Event::Start(Tag::Heading { level, .. }) => Some(Event::Start(Tag::Heading {
                level: lower(level),
                id: None,
                classes: Vec::new(),
                attrs: Vec::new(),
            })),
            Event::End(TagEnd::Heading(level)) => Some(Event::End(TagEnd::Heading(lower(level)))),
            // The writer would put alignment into a style attribute, which the policy forbids.
            Event::Start(Tag::Table(columns)) => {
                Some(Event::Start(Tag::Table(columns.iter().map(|_| Alignment::None).collect())))
            }
            Event::Start(Tag::HtmlBlock) => Some(Event::Start(Tag::Paragraph)),
            Event::End(TagEnd::HtmlBlock) => Some(Event::End(TagEnd::Paragraph)),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => {
                markup(with_chips(&text, self.open.is_empty()))
            }
            Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                markup(format!("<code>{}</code>", with_chips(&text, self.open.is_empty())))
            }
            Event::FootnoteReference(_) => None,
            Event::TaskListMarker(done) => {
                let (label, mark) = if done { ("done", "☑") } else { ("open", "☐") };
                markup(format!("<span class=\"task\" role=\"img\" aria-label=\"{label}\">{mark}</span> "))
            }
            other => Some(other),
        }
    }

    fn open_link(&mut self, url: &str, prefix: &str) -> String {
        // A link within a link (an image that is one) would be taken apart by the browser: the outer one stands.
        if self.open.is_empty()
            && let Some(url) = safe_url(url)
        {
            self.open.push("</a>");
            let url = escape(url);
            return format!(
                "<a href=\"{url}\" title=\"{url}\" rel=\"noopener noreferrer nofollow\" target=\"_blank\">{prefix}"
            );
        }
        self.open.push("</span>");
        format!("<span class=\"nolink\">{prefix}")
    }
}

/// Two levels down, at most to the sixth.
const fn lower(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 => HeadingLevel::H3,
        HeadingLevel::H2 => HeadingLevel::H4,
        HeadingLevel::H3 => HeadingLevel::H5,
        HeadingLevel::H4 | HeadingLevel::H5 | HeadingLevel::H6 => HeadingLevel::H6,
    }
}

/// The URL, if its scheme is one that may be followed.
fn safe_url(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once(':')?;
    let known = ["http", "https"].iter().any(|s| scheme.eq_ignore_ascii_case(s)) && rest.starts_with("//")
        || scheme.eq_ignore_ascii_case("mailto");
    (known && !url.contains(|c: char| c.is_control() || c.is_whitespace())).then_some(url)
}

/// Escapes text; pseudonyms become buttons, or plain chips where a button may not stand (inside a link).
fn with_chips(text: &str, buttons: bool) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut rest = text;
    while let Some((before, label, after)) = split_pseudonym(rest) {
        push_escaped(&mut out, before);
        if buttons {
            // The label is made of `[A-Z0-9_-]` and brackets: nothing to escape.
            out.push_str("<button type=\"button\" class=\"pseudonym\" data-label=\"");
            out.push_str(label);
            out.push_str("\">");
            out.push_str(label);
            out.push_str("</button>");
        } else {
            out.push_str("<span class=\"pseudonym\">");
            out.push_str(label);
            out.push_str("</span>");
        }
        rest = after;
    }
    push_escaped(&mut out, rest);
    out
}

/// The text before the first pseudonym, the pseudonym with its brackets, and the text after it.
///
/// A pseudonym is `[TYPE-N]` with a type of `[A-Z0-9_]{1,32}` and a number of one to nine digits.
#[must_use]
pub fn split_pseudonym(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(found) = text.get(from..)?.find('[') {
        let start = from + found;
        let inside = text.get(start + 1..)?;
        // Bounded, so that a text of opening brackets stays linear.
        let window = inside.as_bytes().get(..TYPE_MAX + NUMBER_MAX + 2).unwrap_or(inside.as_bytes());
        if let Some(len) = window.iter().position(|b| *b == b']')
            && inside.get(..len).is_some_and(is_label)
        {
            let end = start + len + 2;
            return Some((text.get(..start)?, text.get(start..end)?, text.get(end..)?));
        }
        from = start + 1;
    }
    None
}

fn is_label(label: &str) -> bool {
    let Some((kind, number)) = label.rsplit_once('-') else {
        return false;
    };
    (1..=TYPE_MAX).contains(&kind.len())
        && kind.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && (1..=NUMBER_MAX).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_escaped(&mut out, text);
    out
}

fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn html(markdown: &str) -> String {
        render(markdown).to_string()
    }

    #[test]
    fn raw_html_is_text() {
        assert_eq!(html("<script>alert(1)</script>"), "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n");
        assert_eq!(html("a <b onclick=x>c</b>"), "<p>a &lt;b onclick=x&gt;c&lt;/b&gt;</p>\n");
    }

    #[test]
    fn links_keep_safe_schemes_only() {
        assert_eq!(
            html("[x](https://example.com/?a=1&b=\"2)"),
            "<p><a href=\"https://example.com/?a=1&amp;b=&quot;2\" title=\"https://example.com/?a=1&amp;b=&quot;2\" \
             rel=\"noopener noreferrer nofollow\" target=\"_blank\">x</a></p>\n"
        );
        assert!(html("<mailto:a@example.com>").contains("href=\"mailto:a@example.com\""));
        for bad in
            ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "/incidents", "vbscript:x", "http:x"]
        {
            assert_eq!(html(&format!("[x]({bad})")), "<p><span class=\"nolink\">x</span></p>\n", "{bad}");
        }
    }

    #[test]
    fn images_are_links() {
        let out = html("![pixel](https://example.com/p.png)");
        assert!(out.contains(">image: pixel</a>") && !out.contains("<img"), "{out}");
        let nested = html("[![a](https://a.example/x.png)](https://b.example)");
        assert_eq!(nested.matches("<a ").count(), 1, "{nested}");
    }

    #[test]
    fn pseudonyms_are_chips_everywhere_but_in_addresses() {
        let chip = "<button type=\"button\" class=\"pseudonym\" data-label=\"[EMAIL-1]\">[EMAIL-1]</button>";
        assert_eq!(html("mail [EMAIL-1] now"), format!("<p>mail {chip} now</p>\n"));
        assert_eq!(html("`[EMAIL-1]`"), format!("<p><code>{chip}</code></p>\n"));
        assert!(html("```\nx [EMAIL-1]\n```").contains(chip));
        let link = html("[to [EMAIL-1]](https://example.com/[EMAIL-1])");
        assert!(link.contains("<span class=\"pseudonym\">[EMAIL-1]</span>") && !link.contains("<button"), "{link}");
        assert_eq!(plain("<[EMAIL-1]>").as_str(), format!("&lt;{chip}&gt;"));
    }

    #[test]
    fn what_only_looks_like_a_pseudonym_is_text() {
        for text in ["[email-1]", "[EMAIL-]", "[-1]", "[EMAIL-1", "[EMAIL 1]", "[EMAIL-1234567890]", "[[EMAIL]-1]"] {
            assert!(!plain(text).as_str().contains("button"), "{text}");
        }
        assert_eq!(split_pseudonym("[[A-1] x"), Some(("[", "[A-1]", " x")));
    }

    #[test]
    fn tables_have_no_inline_style() {
        let out = html("| a | b |\n|:--|--:|\n| 1 | 2 |\n");
        assert!(out.contains("<table>") && !out.contains("style"), "{out}");
    }

    #[test]
    fn headings_fit_below_the_page() {
        assert_eq!(html("# a\n##### b"), "<h3>a</h3>\n<h6>b</h6>\n");
    }

    proptest! {
        #[test]
        fn whatever_is_written_no_element_comes_through(text in "[\\[\\]()<>!`*_#|\"'&:/a-zA-Z0-9 \n-]{0,200}") {
            let out = html(&text);
            for tag in out.split('<').skip(1) {
                let name = tag.trim_start_matches('/').split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap();
                let known = ["p", "a", "span", "button", "code", "pre", "em", "strong", "del", "ul", "ol", "li", "h3",
                    "h4", "h5", "h6", "hr", "br", "blockquote", "table", "thead", "tbody", "tr", "th", "td", "input"];
                prop_assert!(known.contains(&name), "{}: {}", name, out);
                prop_assert!(!tag.split('>').next().unwrap().contains(" on"), "{}", out);
            }
        }

        #[test]
        fn plain_text_keeps_its_words(text in "\\PC{0,200}") {
            let out = plain(&text).to_string();
            let mut bare = String::new();
            let mut inside = false;
            for c in out.chars() {
                match c { '<' => inside = true, '>' => inside = false, c if !inside => bare.push(c), _ => {} }
            }
            let bare = bare.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&");
            prop_assert_eq!(bare, text);
        }

        #[test]
        fn splitting_loses_nothing(text in "[\\[\\]A-C0-9_-]{0,60}") {
            if let Some((before, label, after)) = split_pseudonym(&text) {
                prop_assert_eq!(format!("{before}{label}{after}"), text);
            }
        }
    }
}
