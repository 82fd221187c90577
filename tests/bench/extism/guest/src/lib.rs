//! The bundled scanner as an extism plugin: text in, the number of findings out.

use extism_pdk::{FnResult, plugin_fn};

#[plugin_fn]
pub fn scan(text: String) -> FnResult<String> {
    let scanner = scanner_pii::prepare("{}")?;
    Ok(scanner.scan(&text, false, false).len().to_string())
}
