// Follows the event log by server-sent events and brings the page up to date, part by part.
import { say } from './core.js';

const { workspace, root, seq, live } = document.body.dataset;
const TYPES = [
  'agent.state_changed',
  'agent.queued',
  'agent.login_required',
  'agent.prompt_opened',
  'agent.prompt_closed',
  'agent.turn_ended',
  'agent.warning',
  'agent.moved',
  'agent.limit_reached',
  'agent.input_delivered',
  'spawn.requested',
  'spawn.finished',
  'approval.requested',
  'approval.voted',
  'approval.reminded',
  'approval.escalated',
  'approval.decided',
  'approval.expired',
  'approval.voided',
  'approval.delivered',
  'key.created',
  'key.revoked',
  'host.connected',
  'host.lost',
  'host.enrolled',
  'host.revoked',
  'host.draining',
  'hosting.changed',
  'hosting.tested',
  'limit.changed',
];
/** What happens at once is shown at once: a burst of events is one change of the page. */
const GATHER_MS = 200;
/** A page that is read again as a whole is read no more often. */
const PAGE_EVERY_MS = 1_000;
/** The list of agents may be long. */
const LIST_EVERY_MS = 2_000;
/** So many cards one by one; more of them are the page again. */
const CARDS_MAX = 12;

const light = document.getElementById('connection');
const dirty = new Set();
let lastSeq = Number(seq);
let source = null;
let timer;
let pageAt = -LIST_EVERY_MS;

function connect() {
  source = new EventSource(`/v1/workspaces/${workspace}/events/stream?after=${lastSeq}`);
  source.addEventListener('open', () => {
    shine('on', 'live');
  });
  source.addEventListener('error', () => {
    shine('lost', 'not live');
    // Closed for good: the session is over, or the log does not go back so far.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 3_000);
  });
  for (const type of TYPES) source.addEventListener(type, onEvent);
}

function shine(state, words) {
  light.dataset.state = state;
  light.title = words;
  light.firstElementChild.textContent = words;
}

function disconnect() {
  source?.close();
  source = null;
}

function onEvent({ lastEventId, type, data }) {
  lastSeq = Number(lastEventId);
  const { subjectId } = JSON.parse(data);
  dirty.add(type.startsWith('approval.') ? 'approvals' : subjectId);
  if (subjectId.startsWith('agt_')) {
    document.dispatchEvent(new CustomEvent('panel:agent', { detail: subjectId }));
  }
  if (type === 'approval.requested') say('An approval was asked for.');
  soon();
}

function soon() {
  const wait = live === 'agents' ? 0 : pageAt + PAGE_EVERY_MS - performance.now();
  timer ??= setTimeout(update, Math.max(GATHER_MS, wait));
}

async function update() {
  const names = [...dirty];
  dirty.clear();
  try {
    if (names.includes('approvals') && live !== 'page') await replaceBadge();
    if (live === 'agents')
      await updateCards(names.filter((name) => name.startsWith('agt_') || name.startsWith('spn_')));
    else if (live === 'page') await updatePage();
  } catch {
    // What could not be read is read again; a session that is over is told by the stream.
    for (const name of names) dirty.add(name);
  } finally {
    timer = undefined;
    if (dirty.size > 0) soon();
  }
}

async function fetchText(path) {
  const response = await fetch(path, { headers: { accept: 'text/html' } });
  if (response.ok) return response.text();
  if (response.status === 404) return null;
  throw new Error(`${response.status}`);
}

function parsed(text) {
  return new DOMParser().parseFromString(text, 'text/html');
}

async function replaceBadge() {
  const text = await fetchText(`${root}/badge`);
  const now = document.getElementById('approvals-badge');
  const next = text === null ? null : parsed(text).getElementById('approvals-badge');
  if (now !== null && next !== null) now.replaceWith(document.adoptNode(next));
}

async function updateCards(ids) {
  if (ids.length === 0) return;
  const agents = ids.filter((id) => id.startsWith('agt_'));
  const isNew =
    agents.some((id) => document.getElementById(id) === null) || agents.length < ids.length;
  if (isNew || agents.length > CARDS_MAX) {
    const isTooSoon = performance.now() - pageAt < LIST_EVERY_MS;
    if (isTooSoon) for (const id of ids) dirty.add(id);
    else await updatePage();
    return;
  }
  for (const id of agents) {
    const text = await fetchText(`/panel/agents/${id}/card`);
    const card = text === null ? null : parsed(text).getElementById(id);
    if (card !== null) replace(document.getElementById(id), card);
  }
}

async function updatePage() {
  pageAt = performance.now();
  const text = await fetchText(location.href);
  if (text === null) return;
  const page = parsed(text);
  for (const next of page.querySelectorAll('[data-part]')) {
    const now = document.getElementById(next.id);
    if (now !== null) replacePart(now, next);
  }
  const badge = page.getElementById('approvals-badge');
  if (badge !== null)
    document.getElementById('approvals-badge')?.replaceWith(document.adoptNode(badge));
}

function replacePart(now, next) {
  if (next.dataset.part === 'cards') replaceCards(now, next);
  else if (next.dataset.keep === undefined) replace(now, next);
  // What somebody may have begun to fill in stays until it is about something else.
  else if (now.dataset.keep !== next.dataset.keep) replace(now, next);
}

/** Cards keep their element where nothing has changed, and with it their screen. */
function replaceCards(now, next) {
  document.getElementById('agents-empty')?.remove();
  const cards = [...next.children].map((card) => {
    const old = document.getElementById(card.id);
    if (old === null) return document.adoptNode(card);
    return replace(old, card);
  });
  if (cards.length !== now.children.length || cards.some((card, at) => now.children[at] !== card)) {
    const focus = focusIn(now);
    now.replaceChildren(...cards);
    refocus(focus);
  }
}

/** Answers the element that is in the document now. */
function replace(now, next) {
  if (sourceOf(now) === signatureOf(next)) return now;
  const focus = focusIn(now);
  const screen = now.querySelector('[data-screen]')?.textContent;
  const signature = signatureOf(next);
  const fresh = document.adoptNode(next);
  sources.set(fresh, signature);
  const place = fresh.querySelector('[data-screen]');
  if (place !== null && screen) place.textContent = screen;
  now.replaceWith(fresh);
  refocus(focus);
  document.dispatchEvent(new CustomEvent('panel:replaced', { detail: fresh }));
  return fresh;
}

/** As the server sent it: the script changes times and screens afterwards. */
const sources = new WeakMap();

function sourceOf(element) {
  return sources.get(element) ?? null;
}

/** How long ago something was is no change of it. */
function signatureOf(element) {
  return element.outerHTML.replaceAll(/(<time[^>]*>)[^<]*/g, '$1');
}

function focusIn(element) {
  const { activeElement } = document;
  if (!element.contains(activeElement) || activeElement === document.body) return null;
  const all = [...element.querySelectorAll('a, button, input, textarea, select, summary')];
  return { id: element.id, at: all.indexOf(activeElement) };
}

function refocus(focus) {
  if (focus === null) return;
  const element = document.getElementById(focus.id);
  const all = element?.querySelectorAll('a, button, input, textarea, select, summary') ?? [];
  (all[focus.at] ?? all[0])?.focus({ preventScroll: true });
}

// A browser has few connections to one address: a tab that nobody sees gives its own back.
document.addEventListener('visibilitychange', () => {
  if (document.hidden) disconnect();
  else if (source === null) connect();
});
document.addEventListener('panel:changed', () => {
  dirty.add('approvals');
  if (live === 'page') updatePage().catch(() => undefined);
});
window.addEventListener('pagehide', disconnect);
window.addEventListener('pageshow', () => {
  if (source === null && !document.hidden) connect();
});
if (!document.hidden && source === null) connect();
