import { z } from 'zod';
import { workspacesOf } from '../../domain/authorize.ts';
import { AppError } from '../../domain/error.ts';
import { parseId } from '../../domain/id.ts';
import { PanelLinkSchema } from '../../domain/schema/panel.ts';
import { findOldestWorkspace } from '../../infra/db/queries/key-view.ts';
import { appendRecord } from '../../infra/db/queries/event.ts';
import { closePanelSession, makePanelLink, usePanelLink } from '../../infra/db/queries/panel.ts';
import { sha256Hex } from '../../infra/digest.ts';
import type { ApiDeps } from '../deps.ts';
import { authenticate } from '../middleware/auth.ts';
import { isLoopbackHost } from '../middleware/loopback.ts';
import {
  endedCookies,
  isCsrfOf,
  isOwnOrigin,
  makePanelToken,
  openSession,
  panelTokenOf,
} from '../middleware/panel-session.ts';
import { answerAsset } from '../panel/assets.ts';
import { readForm } from '../panel/form.ts';
import { loginPage } from '../panel/login.ts';
import { htmlResponse, panelProblem, safeNext, seeOther } from '../panel/respond.ts';
import { publicRoute, route } from '../route.ts';

/** Long enough to change to the browser, too short to be found in a scroll-back. */
const LINK_TTL_MS = 5 * 60_000;

const PAGE = { status: 200, media: 'text/html', description: 'A page of the panel.' } as const;

export const panelSessionRoutes = [
  publicRoute({
    method: 'GET',
    path: '/panel/login',
    name: 'getPanelLogin',
    summary: 'Panel: the page to sign in on, by API key or by a link of `rookery panel`.',
    rate: 'public',
    response: PAGE,
    problem: panelProblem,
    handler: async () => htmlResponse(loginPage({ next: '/', failure: null })),
  }),
  publicRoute({
    method: 'POST',
    path: '/panel/login',
    name: 'postPanelLogin',
    summary: 'Panel: opens a session, for a form of its own page. Answers with a cookie.',
    rate: 'login',
    isRaw: true,
    response: { ...PAGE, description: 'The login page again where the key is not good; else 303.' },
    problem: panelProblem,
    handler: async ({ request }, deps) => {
      checkOrigin(request.headers);
      const form = await readForm(request);
      const next = safeNext(form.get('next') ?? '/');
      const isTls = new URL(request.headers.get('origin') ?? '').protocol === 'https:';
      if (!isTls && !isLoopbackHost(request.headers.get('host') ?? '')) {
        const failure =
          'From another machine the panel signs in over TLS only: a session would travel in the open.';
        return htmlResponse(loginPage({ next, failure }), { status: 403 });
      }
      const keyId = await keyOf(deps, form);
      if (keyId === null) {
        const failure = 'This key or link is not good. A link works once, for five minutes.';
        return htmlResponse(loginPage({ next, failure }), { status: 401 });
      }
      return seeOther(next, [await openSession(deps, { keyId, isTls })]);
    },
  }),
  publicRoute({
    method: 'POST',
    path: '/panel/logout',
    name: 'postPanelLogout',
    summary: 'Panel: ends the session.',
    rate: 'public',
    isRaw: true,
    response: { ...PAGE, description: '303 to the login page.' },
    problem: panelProblem,
    handler: async ({ request }, { db }) => {
      checkOrigin(request.headers);
      const form = await readForm(request);
      const token = panelTokenOf(request.headers);
      if (token === null || !isCsrfOf(request.headers, form.get('csrf'))) throw otherPage();
      await closePanelSession(db, sha256Hex(token));
      return seeOther('/panel/login', endedCookies());
    },
  }),
  publicRoute({
    method: 'GET',
    path: '/panel/assets/{file}',
    name: 'getPanelAsset',
    summary: 'Panel: a style sheet, script or picture.',
    // A page has up to eight of them, which browsers ask for each time.
    rate: 'read',
    params: z.strictObject({ file: z.string().max(64) }),
    response: { status: 200, media: '*/*', description: 'The file, with an ETag.' },
    handler: async ({ params, request }) => {
      const found = answerAsset(params.file, request.headers);
      if (found === null) throw new AppError('not_found', 'The panel has no such file.');
      return found;
    },
  }),
  route({
    method: 'POST',
    path: '/v1/panel/links',
    name: 'createPanelLink',
    summary: 'Makes a token that signs this key in to the panel, once, within five minutes.',
    rate: 'write',
    target: null,
    response: { status: 201, json: PanelLinkSchema },
    storable: (body) => ({ ...PanelLinkSchema.parse(body), token: null }),
    handler: async ({ caller }, { db }) => {
      if (caller.keyId === null) {
        throw new AppError(
          'policy_denied',
          'The panel is entered with an API key, or in a browser that holds your certificate: make one first.',
        );
      }
      const { token, tokenHash } = makePanelToken();
      const link = { tokenHash, keyId: caller.keyId, ttlMs: LINK_TTL_MS };
      const expiresAt = await makePanelLink(db, link);
      return { body: { token, expiresAt: expiresAt.toISOString() } };
    },
  }),
];

function checkOrigin(headers: Headers): void {
  if (!isOwnOrigin(headers)) throw otherPage();
}

function otherPage(): AppError {
  return new AppError('policy_denied', 'This form was not sent by a page of this panel.');
}

/** Whose session it becomes; null where neither key nor link is good. */
async function keyOf(deps: ApiDeps, form: URLSearchParams): Promise<string | null> {
  const link = form.get('link') ?? '';
  if (link !== '') {
    const key = await usePanelLink(deps.db, sha256Hex(link));
    if (key !== null) await recordSignIn(deps, { ...key, by: 'link' });
    return key?.id ?? null;
  }
  try {
    const { id, keyId, bindings } = await authenticate(
      deps,
      `Bearer ${(form.get('key') ?? '').trim()}`,
    );
    const own = workspacesOf(bindings);
    const workspaceId = own === 'all' ? null : (own[0] ?? null);
    await recordSignIn(deps, { id, workspaceId, by: 'key' });
    return keyId;
  } catch (error) {
    if (error instanceof AppError && error.code === 'unauthenticated') return null;
    throw error;
  }
}

interface SignIn {
  readonly id: string;
  readonly workspaceId: string | null;
  readonly by: 'key' | 'link';
}

async function recordSignIn({ db }: ApiDeps, { id, workspaceId, by }: SignIn): Promise<void> {
  const logOf = workspaceId ?? (await findOldestWorkspace(db));
  if (logOf === null) return;
  await appendRecord(db, {
    workspaceId: parseId('workspace', logOf),
    audits: [
      {
        key: `${id}:panel:${crypto.randomUUID()}`,
        actorKind: 'user',
        actorId: id,
        action: 'panel.sign_in',
        subjectId: id,
        detail: { by },
      },
    ],
  });
}
