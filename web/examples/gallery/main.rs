//! Writes every page in several states to a folder, with made-up data, so that they can be looked at:
//! `cargo run -p fumehood-web --example gallery -- OUT_DIR`. Serve the folder over HTTP: pages name their assets from
//! the root.

mod admin;
mod incident;
mod sample;

use std::error::Error;
use std::fs;
use std::path::Path;

use askama::Template;

/// Where the pages go.
struct Gallery<'a> {
    out: &'a Path,
    pages: Vec<(String, usize)>,
}

impl Gallery<'_> {
    /// Writes one page.
    fn page(&mut self, name: &str, page: &impl Template) -> Result<(), Box<dyn Error>> {
        let html = page.render()?;
        fs::write(self.out.join(format!("{name}.html")), &html)?;
        self.pages.push((name.to_owned(), html.len()));
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let out = std::env::args_os().nth(1).ok_or("usage: gallery OUT_DIR")?;
    let out = Path::new(&out);
    fs::create_dir_all(out)?;
    for (name, body) in fumehood_web::assets::all() {
        let path = out.join(fumehood_web::assets::url(name).trim_start_matches('/'));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, body)?;
    }
    let mut gallery = Gallery { out, pages: Vec::new() };
    admin::write(&mut gallery)?;
    incident::write(&mut gallery)?;
    for (name, bytes) in &gallery.pages {
        println!("{bytes:>7} {name}");
    }
    if let Some((name, bytes)) = gallery.pages.iter().find(|(_, bytes)| *bytes > 100_000) {
        return Err(format!("{name} has {bytes} bytes; pages stay below 100 KB").into());
    }
    Ok(())
}
