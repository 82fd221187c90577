// Desk, the ticket system that the example integrations speak of: signs in by `Bearer desk-token`, has one queue, and
// refuses what a real one would: a stranger, a ticket without a title, and a second ticket with the same marker.

import { isMain, json, main, parseJson, Refusal, serve } from './lib/http.mjs';

export const TOKEN = 'desk-token';

export async function start(port = 0) {
  let tickets = [];
  const handle = async ({ request, response, url, body }) => {
    if (request.headers.authorization !== `Bearer ${TOKEN}`) throw new Refusal(401, { message: 'who are you?' });
    const route = `${request.method} ${url.pathname}`;
    // Says the credential back and begins a session, as some services do.
    const session = { 'set-cookie': 'session=session-of-the-service', 'x-echo': TOKEN };
    if (route === 'GET /api/me') return json(response, 200, { name: 'Ana' }, session);
    if (route === 'GET /api/queues') return json(response, 200, { queues: [{ id: '1', key: 'OPS', name: 'Operations' }] });
    if (route === 'GET /api/tickets') {
      const marker = url.searchParams.get('marker');
      if (!marker) throw new Refusal(400, { message: 'a marker is needed' });
      return json(response, 200, { tickets: tickets.filter((ticket) => ticket.marker === marker) });
    }
    if (route === 'POST /api/tickets') {
      const wanted = parseJson(request, body);
      if (typeof wanted.title !== 'string' || !wanted.title) throw new Refusal(422, { message: 'a title is needed' });
      if (typeof wanted.marker !== 'string' || !wanted.marker) throw new Refusal(422, { message: 'a marker is needed' });
      if (tickets.some((ticket) => ticket.marker === wanted.marker)) throw new Refusal(409, { message: 'that marker is taken' });
      const id = `T-${tickets.length + 1}`;
      const ticket = { ...wanted, id, url: `http://${request.headers.host}/tickets/${id}` };
      tickets.push(ticket);
      return json(response, 201, ticket);
    }
    throw new Refusal(404, { message: 'there is no such thing' });
  };
  const control = { tickets: () => tickets };
  return serve({ handle, control, reset: () => (tickets = []) }, port);
}

if (isMain(import.meta)) await main(start);
