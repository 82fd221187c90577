// Whether a text is Confluence storage format: a well-formed XML fragment of the tags that Confluence knows.
//
// Stricter than the real one in one point: of the named entities it takes XML's five alone (an XML parser on the way
// knows no others, so a careful publisher writes numbers).

const HTML_TAGS = new Set(
  ('a b blockquote br caption code col colgroup del div em h1 h2 h3 h4 h5 h6 hr i li ol p pre s small span strong sub ' +
    'sup table tbody td tfoot th thead tr u ul time').split(' '),
);
const PREFIXES = new Set(['ac', 'ri', 'at']);
const ENTITY = /^&(?:amp|lt|gt|quot|apos|#[0-9]+|#x[0-9a-fA-F]+);/;
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/u;
const OPEN = /^<([A-Za-z][\w-]*(?::[A-Za-z][\w-]*)?)((?:\s+[A-Za-z_][\w:.-]*\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>/;
const CLOSE = /^<\/([A-Za-z][\w-]*(?::[A-Za-z][\w-]*)?)\s*>/;

/** Why `text` is refused, or `undefined`. */
export function fault(text) {
  const control = CONTROL.exec(text);
  if (control) return `control character at ${control.index}`;
  const open = [];
  let at = 0;
  while (at < text.length) {
    const next = text.slice(at).search(/[<&]/);
    const raw = next < 0 ? text.slice(at) : text.slice(at, at + next);
    if (raw.includes(']]>')) return `"]]>" outside CDATA at ${at}`;
    if (next < 0) break;
    at += next;
    const rest = text.slice(at);
    if (rest.startsWith('<![CDATA[')) {
      const end = rest.indexOf(']]>');
      if (end < 0) return `CDATA at ${at} is not closed`;
      at += end + 3;
      continue;
    }
    if (rest.startsWith('&')) {
      const entity = ENTITY.exec(rest);
      if (!entity) return `entity at ${at}: ${rest.slice(0, 12)}`;
      at += entity[0].length;
      continue;
    }
    const close = CLOSE.exec(rest);
    if (close) {
      const expected = open.pop();
      if (expected !== close[1]) return `</${close[1]}> at ${at} where </${expected ?? 'nothing'}> belongs`;
      at += close[0].length;
      continue;
    }
    const tag = OPEN.exec(rest);
    if (!tag) return `not a tag at ${at}: ${rest.slice(0, 20)}`;
    const problem = tagFault(tag[1], tag[2]);
    if (problem) return `${problem} at ${at}`;
    if (!tag[3]) open.push(tag[1]);
    at += tag[0].length;
  }
  return open.length ? `<${open.pop()}> is not closed` : undefined;
}

function tagFault(name, attributes) {
  const [prefix, local] = name.includes(':') ? name.split(':') : ['', name];
  if (prefix ? !PREFIXES.has(prefix) : !HTML_TAGS.has(local)) return `unknown tag <${name}>`;
  const seen = new Set();
  for (const [, key, value] of attributes.matchAll(/([\w:.-]+)\s*=\s*["']([^"']*)["']/g)) {
    if (seen.has(key)) return `attribute ${key} twice`;
    seen.add(key);
    if (/^on/i.test(key)) return `event handler ${key}`;
    for (const found of value.matchAll(/&/g)) {
      if (!ENTITY.test(value.slice(found.index))) return `bare & in attribute ${key}`;
    }
    if (key === 'href' && /^\s*(?:javascript|data|vbscript):/i.test(value)) return `href ${value.slice(0, 20)}`;
  }
  return undefined;
}
