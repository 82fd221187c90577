//! Markdown to Confluence's storage format.
//!
//! Invariant: pure; for every input the output is a well-formed XML fragment (with the prefix `ac` bound by
//! Confluence), in which text from the input is text only. Raw HTML is shown as what it is, never passed on. Only
//! http, https and mailto become links; images become links, because the page must not make a reader's browser fetch
//! what a log line names. Nesting over [`MAX_DEPTH`] is flattened, so that no parser runs out of stack.

use pulldown_cmark::{Alignment, CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::text::is_printable;

/// Deepest nesting of elements that is written; deeper containers keep their content and lose their tags.
pub const MAX_DEPTH: usize = 48;

/// Write a Markdown text (CommonMark with tables, task lists, strikethrough and fenced code) as storage format.
pub fn from_markdown(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS | Options::ENABLE_STRIKETHROUGH;
    // Characters that XML does not know go before the parser sees them: it copies them even into addresses.
    let clean: String = markdown
        .replace("\r\n", "\n")
        .chars()
        .map(|c| if c == '\r' { '\n' } else { c })
        .filter(|c| is_printable(*c))
        .collect();
    let events: Vec<_> = Parser::new_ext(&clean, options).collect();
    let task_lists = find_task_lists(&events);
    let mut writer = Writer { task_lists, ..Writer::default() };
    for (at, event) in events.into_iter().enumerate() {
        writer.event(at, event);
    }
    // The parser balances its events; should it ever not, the output still does.
    while writer.open.last().is_some() {
        writer.close();
    }
    writer.out
}

/// Escape text for element content and for attributes in double quotes.
pub fn escape(text: &str) -> String {
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
            c if is_printable(c) => out.push(c),
            _ => {}
        }
    }
}

/// A section that shows the text as it is, with the end mark split over two sections.
pub fn cdata(text: &str) -> String {
    let clean: String = text.chars().filter(|c| is_printable(*c)).collect();
    format!("<![CDATA[{}]]>", clean.replace("]]>", "]]]]><![CDATA[>"))
}

/// The address, if it is one that a page may link to.
fn link_target(address: &str) -> Option<&str> {
    let (scheme, rest) = address.split_once(':')?;
    let known = ["http", "https", "mailto"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let clean = !address.contains(|c: char| c.is_whitespace() || c.is_control());
    (known && clean && !rest.is_empty()).then_some(address)
}

/// The name under which Confluence's code macro knows a language; nothing for one that it does not know, for which the
/// macro would show an error.
fn code_language(info: &str) -> Option<&'static str> {
    let word: String =
        info.split(|c: char| c.is_whitespace() || c == ',' || c == '{').next().unwrap_or_default().to_ascii_lowercase();
    Some(match word.as_str() {
        "bash" | "sh" | "shell" | "zsh" | "console" => "bash",
        "c" | "cpp" | "c++" | "h" => "cpp",
        "cs" | "csharp" | "c#" => "c#",
        "css" => "css",
        "diff" | "patch" => "diff",
        "erlang" | "erl" => "erlang",
        "groovy" => "groovy",
        "html" | "xml" | "xhtml" | "svg" => "xml",
        "java" => "java",
        "js" | "javascript" | "json" | "ts" | "typescript" => "js",
        "perl" | "pl" => "perl",
        "php" => "php",
        "powershell" | "ps1" => "powershell",
        "py" | "python" => "py",
        "rb" | "ruby" => "ruby",
        "scala" => "scala",
        "sql" => "sql",
        "vb" => "vb",
        "yaml" | "yml" => "yml",
        "text" | "txt" | "plain" | "log" => "text",
        _ => return None,
    })
}

/// Where lists begin whose every item is a task, by the index of the event.
fn find_task_lists(events: &[Event<'_>]) -> Vec<usize> {
    struct List {
        start: usize,
        items: usize,
        tasks: usize,
    }
    let mut open: Vec<List> = Vec::new();
    let mut found = Vec::new();
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Start(Tag::List(_)) => open.push(List { start: at, items: 0, tasks: 0 }),
            Event::Start(Tag::Item) => {
                if let Some(list) = open.last_mut() {
                    list.items += 1;
                }
            }
            Event::TaskListMarker(_) => {
                if let Some(list) = open.last_mut() {
                    list.tasks += 1;
                }
            }
            Event::End(TagEnd::List(_)) => {
                if let Some(list) = open.pop()
                    && list.items == list.tasks
                {
                    found.push(list.start);
                }
            }
            _ => {}
        }
    }
    found.sort_unstable();
    found
}

/// What a container closes with.
type Close = &'static str;

#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    Plain,
    Tasks,
    /// Too deep for tags, its items too: half of a structure would be invalid.
    Flat,
}

#[derive(Default)]
struct Writer {
    out: String,
    open: Vec<Close>,
    /// How many of `open` have tags.
    depth: usize,
    task_lists: Vec<usize>,
    /// The open lists.
    lists: Vec<List>,
    /// Links and images around the text; only the outermost is written.
    links: usize,
    code: Option<(Option<&'static str>, String)>,
    /// The description of an image, while it is read.
    images: usize,
    image_text: bool,
    alignments: Vec<Alignment>,
    column: usize,
    header: bool,
    flat_table: bool,
}

impl Writer {
    /// Open a container, unless the nesting is too deep for its tags.
    fn start(&mut self, tag: &str, close: Close) {
        if self.depth < MAX_DEPTH {
            self.depth += 1;
            self.out.push_str(tag);
            self.open.push(close);
        } else {
            self.open.push("");
        }
    }

    fn close(&mut self) {
        if let Some(close) = self.open.pop()
            && !close.is_empty()
        {
            self.depth = self.depth.saturating_sub(1);
            self.out.push_str(close);
        }
    }

    fn text(&mut self, text: &str) {
        if let Some((_, code)) = &mut self.code {
            code.push_str(text);
        } else {
            self.image_text |= self.images > 0 && !text.trim().is_empty();
            push_escaped(&mut self.out, text);
        }
    }

    fn event(&mut self, at: usize, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start_tag(at, tag),
            Event::End(tag) => self.end_tag(tag),
            Event::Text(text) => self.text(&text),
            Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.out.push_str("<code>");
                self.text(&text);
                self.out.push_str("</code>");
            }
            // Shown, not passed on.
            Event::Html(text) | Event::InlineHtml(text) | Event::FootnoteReference(text) => self.text(&text),
            Event::SoftBreak => self.out.push('\n'),
            Event::HardBreak => self.out.push_str("<br/>"),
            Event::Rule => self.out.push_str("<hr/>"),
            Event::TaskListMarker(done) => {
                if self.lists.last() != Some(&List::Tasks) {
                    // A task among other items, or an item of a list that is too deep.
                    self.out.push_str(if done { "☑ " } else { "☐ " });
                } else if let Some(at) = self.out.rfind(STATUS_OPEN)
                    && done
                {
                    self.out.replace_range(at..at + STATUS_OPEN.len(), STATUS_DONE);
                }
            }
        }
    }

    fn start_tag(&mut self, at: usize, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.start("<p>", "</p>"),
            Tag::Heading { level, .. } => {
                let (open, close) = match level {
                    HeadingLevel::H1 => ("<h1>", "</h1>"),
                    HeadingLevel::H2 => ("<h2>", "</h2>"),
                    HeadingLevel::H3 => ("<h3>", "</h3>"),
                    HeadingLevel::H4 => ("<h4>", "</h4>"),
                    HeadingLevel::H5 => ("<h5>", "</h5>"),
                    HeadingLevel::H6 => ("<h6>", "</h6>"),
                };
                self.start(open, close);
            }
            Tag::BlockQuote(_) => self.start("<blockquote>", "</blockquote>"),
            Tag::CodeBlock(kind) => {
                let language = match &kind {
                    CodeBlockKind::Fenced(info) => code_language(info),
                    CodeBlockKind::Indented => None,
                };
                self.code = Some((language, String::new()));
                self.open.push("");
            }
            Tag::List(first) => {
                let is_tasks = self.task_lists.binary_search(&at).is_ok();
                let list = match self.depth {
                    depth if depth + 4 > MAX_DEPTH => List::Flat,
                    _ if is_tasks => List::Tasks,
                    _ => List::Plain,
                };
                self.lists.push(list);
                match (list, first) {
                    (List::Flat, _) => self.open.push(""),
                    (List::Tasks, _) => self.start("<ac:task-list>", "</ac:task-list>"),
                    (List::Plain, Some(1)) => self.start("<ol>", "</ol>"),
                    (List::Plain, Some(first)) => {
                        self.start(&format!("<ol start=\"{first}\">"), "</ol>");
                    }
                    (List::Plain, None) => self.start("<ul>", "</ul>"),
                }
            }
            Tag::Item => match self.lists.last() {
                Some(List::Tasks) => self.start(TASK_OPEN, "</ac:task-body></ac:task>"),
                Some(List::Plain) => self.start("<li>", "</li>"),
                _ => {
                    self.out.push(' ');
                    self.open.push("");
                }
            },
            Tag::Table(alignments) => {
                self.alignments = alignments;
                self.flat_table = self.depth + 4 > MAX_DEPTH;
                if self.flat_table {
                    self.open.push("");
                } else {
                    self.start("<table><tbody>", "</tbody></table>");
                }
            }
            Tag::TableHead | Tag::TableRow | Tag::TableCell if self.flat_table => {
                self.out.push(' ');
                self.open.push("");
            }
            Tag::TableHead => {
                self.header = true;
                self.column = 0;
                self.start("<tr>", "</tr>");
            }
            Tag::TableRow => {
                self.column = 0;
                self.start("<tr>", "</tr>");
            }
            Tag::TableCell => {
                let aligned = match self.alignments.get(self.column) {
                    Some(Alignment::Right) => "<p style=\"text-align: right;\">",
                    Some(Alignment::Center) => "<p style=\"text-align: center;\">",
                    _ => "<p>",
                };
                self.column += 1;
                let (cell, close) = if self.header { ("<th>", "</p></th>") } else { ("<td>", "</p></td>") };
                self.start(&format!("{cell}{aligned}"), close);
            }
            Tag::Emphasis => self.start("<em>", "</em>"),
            Tag::Strong => self.start("<strong>", "</strong>"),
            Tag::Strikethrough => self.start("<del>", "</del>"),
            Tag::Link { dest_url, .. } => self.link(&dest_url),
            Tag::Image { dest_url, .. } => {
                self.link(&dest_url);
                self.images += 1;
                self.image_text = false;
            }
            // Extensions that are not switched on: their content, without their tags.
            _ => self.open.push(""),
        }
    }

    /// Links do not nest in XHTML.
    fn link(&mut self, address: &str) {
        match link_target(address) {
            Some(target) if self.links == 0 => {
                let tag = format!("<a href=\"{}\">", escape(target));
                self.start(&tag, "</a>");
            }
            _ => self.open.push(""),
        }
        self.links += 1;
    }

    fn end_tag(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::CodeBlock => {
                let (language, code) = self.code.take().unwrap_or_default();
                self.out.push_str("<ac:structured-macro ac:name=\"code\">");
                if let Some(language) = language {
                    self.out.push_str("<ac:parameter ac:name=\"language\">");
                    self.out.push_str(language);
                    self.out.push_str("</ac:parameter>");
                }
                self.out.push_str("<ac:plain-text-body>");
                self.out.push_str(&cdata(code.strip_suffix('\n').unwrap_or(&code)));
                self.out.push_str("</ac:plain-text-body></ac:structured-macro>");
            }
            TagEnd::List(_) => {
                self.lists.pop();
            }
            TagEnd::TableHead => self.header = false,
            TagEnd::Link => self.links = self.links.saturating_sub(1),
            TagEnd::Image => {
                self.links = self.links.saturating_sub(1);
                self.images = self.images.saturating_sub(1);
                if !self.image_text {
                    self.out.push_str("image");
                }
            }
            _ => {}
        }
        self.close();
    }
}

const TASK_OPEN: &str = "<ac:task><ac:task-status>incomplete</ac:task-status><ac:task-body>";
const STATUS_OPEN: &str = "<ac:task-status>incomplete</ac:task-status>";
const STATUS_DONE: &str = "<ac:task-status>complete</ac:task-status>";

#[cfg(test)]
#[path = "storage_tests.rs"]
mod tests;
