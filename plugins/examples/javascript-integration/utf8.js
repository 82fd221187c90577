// Text as bytes and back. QuickJS has no TextEncoder; these use what every engine has.

/**
 * @param {string} text
 * @returns {Uint8Array}
 */
export function encode(text) {
  return Uint8Array.from(unescape(encodeURIComponent(text.toWellFormed())), (byte) => byte.charCodeAt(0));
}

/**
 * @param {Uint8Array} bytes
 * @returns {string} with `?` for every byte outside ASCII where it is no UTF-8
 */
export function decode(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  try {
    return decodeURIComponent(escape(text));
  } catch {
    return text.replace(/[\x80-\xff]/g, "?");
  }
}
