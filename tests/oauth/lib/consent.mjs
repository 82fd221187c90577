// Signing in and agreeing, on one page without a script.

import { readBody } from './resource.mjs';

/** Middleware for `/interaction/UID`. With `auto`, that person is signed in and agrees at once. */
export const consent = (provider, auto) => async (ctx, next) => {
  if (!ctx.path.startsWith('/interaction/')) return next();
  const interaction = await provider.interactionDetails(ctx.req, ctx.res);
  const form = ctx.method === 'POST' ? Object.fromEntries(new URLSearchParams(await readBody(ctx.req))) : {};
  const known = interaction.prompt.name === 'login' ? undefined : interaction.session?.accountId;
  const person = known ?? auto ?? form.login?.trim();
  if (form.answer === 'deny') {
    return finish(ctx, provider, { error: 'access_denied', error_description: 'the person said no' });
  }
  if (!person || !(auto || form.answer === 'allow')) {
    ctx.type = 'html';
    ctx.body = page(interaction.params, known);
    return undefined;
  }
  return finish(ctx, provider, {
    login: { accountId: person },
    consent: { grantId: await grant(provider, interaction, known, person) },
  });
};

async function finish(ctx, provider, result) {
  ctx.status = 303;
  ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result, { mergeWithLastSubmission: false }));
}

/** All that was asked for, added to what this person granted before. */
async function grant(provider, { grantId, params }, known, accountId) {
  const earlier = known && grantId ? await provider.Grant.find(grantId) : undefined;
  const granted = earlier ?? new provider.Grant({ accountId, clientId: params.client_id });
  granted.addOIDCScope('openid offline_access');
  for (const resource of [params.resource].flat()) granted.addResourceScope(resource, params.scope ?? '');
  return granted.save();
}

const escaped = (text) => String(text ?? '').replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

const page = ({ client_id, scope, resource, redirect_uri }, known) => `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sign in and agree</title>
<h1>Sign in and agree</h1>
<dl><dt>Client<dd>${escaped(client_id)}<dt>Resource<dd>${escaped(resource)}<dt>Scopes<dd>${escaped(scope)}<dt>Back to<dd>${escaped(redirect_uri)}</dl>
<form method="post">
${known ? `<p>Signed in as ${escaped(known)}</p>` : '<p><label>Name <input name="login" required autofocus></label></p>'}
<button name="answer" value="allow">Allow</button>
<button name="answer" value="deny" formnovalidate>Deny</button>
</form>
</html>`;
