// Values that must never leave or lie open, as they stand in a log. Assembled here, so that no scanner of this
// repository takes them for real ones.

export const plants = [
  'maria.lopez@customer-mail.example',
  '10.61.7.203',
  '4111 1111 1111 1111',
  'DE89 3704 0044 0532 0130 00',
  `AKIA${'QXZJ7WERTYPLKMNB'}`,
  `ghp_${'a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8'}`,
  'hunter2!Zx9Qw',
  'k9Pw7orders',
];

const [mail, address, card, iban, aws, github, password, urlPassword] = plants;

export const log = `2026-11-20T03:12:00.101Z INFO orders[211]: starting
2026-11-20T03:12:01.220Z ERROR orders[211]: no answer to ${mail} from ${address}
2026-11-20T03:12:02.300Z WARN orders[211]: card ${card} declined
2026-11-20T03:12:03.400Z WARN orders[211]: transfer to ${iban} failed
2026-11-20T03:12:04.500Z ERROR orders[211]: aws_access_key_id = ${aws}
2026-11-20T03:12:05.600Z ERROR orders[211]: clone with ${github} failed
2026-11-20T03:12:06.700Z ERROR orders[211]: login with password=${password} failed
2026-11-20T03:12:07.800Z ERROR orders[211]: cannot reach postgres://orders:${urlPassword}@db.internal.example:5432/orders
2026-11-20T03:12:08.900Z ERROR orders[211]: pool exhausted, waiting for a free connection, build 4.2.17.3
2026-11-20T03:12:09.000Z INFO orders[211]: ${mail} retried
`;

/** The first planted value in some bytes or text, plain or in the encodings that hide it from a search. */
export function leaked(content) {
  const text = Buffer.isBuffer(content) ? content.toString('latin1') : String(content);
  for (const value of plants) {
    const forms = [value, encodeURIComponent(value), Buffer.from(value).toString('base64').replace(/=+$/, ''), Buffer.from(value).toString('hex')];
    const found = forms.find((form) => text.includes(form));
    if (found) return `${value} (as ${found})`;
  }
  return undefined;
}
