import { z } from 'zod';
import { privateOwner } from '../../domain/document.ts';
import { AppError } from '../../domain/error.ts';
import { DocumentHitSchema, DocumentTextSchema } from '../../domain/schema/document.ts';
import { isPrivateWorkspace } from '../../infra/db/queries/workspace-kind.ts';
import { UsageError, type ChatCommand } from './command.ts';
import { block, bold, cleanLine, code, plain, visibleText } from './text.ts';
import { ask, line, lines, type KnownTurn, type Reply } from './turn.ts';
import { roomOf, type Room } from './where.ts';

const Hits = z.object({ items: z.array(DocumentHitSchema), isCut: z.boolean() });
type Hit = z.output<typeof DocumentHitSchema>;

const HITS_MAX = 10;
const WORDS_CHARS_MAX = 200;
/** What is read at a glance is said; the rest is a file. */
const SHOWN_CHARS_MAX = 1_500;

export const documentCommands: readonly ChatCommand[] = [
  {
    name: 'search',
    usage: '[@workspace] <words>',
    help: 'looks for documents by name and text',
    action: 'searchDocuments',
    where: 'anywhere',
    run: search,
  },
  {
    name: 'open',
    usage: '[@workspace] <path>',
    help: 'shows a document',
    action: 'readDocument',
    where: 'anywhere',
    run: open,
  },
];

async function search(turn: KnownTurn, args: string): Promise<Reply> {
  const room = await roomOf(turn, args);
  const words = room.rest;
  if (words === '') throw new UsageError('Say what to look for.');
  if (words.length > WORDS_CHARS_MAX)
    throw new UsageError(`At most ${WORDS_CHARS_MAX} characters.`);
  await checkChat(turn, room);
  const find = (field: 'name' | 'text') =>
    ask(turn, {
      method: 'GET',
      path: `/v1/workspaces/${room.id}/documents/search?${field}=${encodeURIComponent(words)}&limit=${4 * HITS_MAX}`,
      answer: Hits,
    });
  const [named, written] = [await find('name'), await find('text')];
  const byPath = new Map<string, Hit>();
  for (const hit of [...written.items, ...named.items]) {
    if (!byPath.has(hit.path) && mayBeSaid(turn, hit.path)) byPath.set(hit.path, hit);
  }
  const hits = [...byPath.values()].slice(0, HITS_MAX);
  const isCut = named.isCut || written.isCut || byPath.size > hits.length;
  const where = `in the names and texts of ${room.slug}'s documents${isGroup(turn) ? ', without the folders of agents' : ''}`;
  if (hits.length === 0) return line(`Nothing holds exactly these words ${where}.`);
  return lines(
    `Found ${where}, by exactly these words${isCut ? '; there may be more' : ''}:`,
    ...hits.map(hitLine),
    'Open one with /open <path>.',
  );
}

function hitLine({ path, lines: found }: Hit) {
  const [first] = found;
  const snippet = first === undefined ? '' : `: ${cleanLine(first.text, 120)}`;
  return [
    code(cleanLine(path, 200)),
    plain(first === undefined ? '' : ` line ${first.line}${snippet}`),
  ];
}

async function open(turn: KnownTurn, args: string): Promise<Reply> {
  const room = await roomOf(turn, args);
  const path = room.rest;
  if (path === '') throw new UsageError('Say which document.');
  await checkChat(turn, room);
  if (!mayBeSaid(turn, path)) {
    throw new AppError(
      'policy_denied',
      'This folder belongs to an agent: what is in it is not shown in a group. Ask in a direct chat.',
    );
  }
  const document = await ask(turn, {
    method: 'GET',
    path: `/v1/workspaces/${room.id}/document?path=${encodeURIComponent(path)}`,
    answer: DocumentTextSchema,
  });
  const title = [bold(cleanLine(document.path, 200)), plain(` (${document.sizeBytes} bytes)`)];
  const text = visibleText(document.text.replaceAll('\r\n', '\n'));
  if (text.length <= SHOWN_CHARS_MAX) {
    return { spans: [...title, plain('\n'), block(text === '' ? ' ' : text)] };
  }
  const name = document.path.split('/').at(-1) ?? 'document.md';
  return { spans: title, file: { name, text: document.text } };
}

function isGroup({ place, context }: KnownTurn): boolean {
  return place.kind !== 'dm' && context?.kind !== 'admin_hub';
}

/** Everybody in a group reads what is said there, so the asker's own right is not enough for what is private. */
function mayBeSaid(turn: KnownTurn, path: string): boolean {
  return !isGroup(turn) || privateOwner(path.normalize('NFC')) === null;
}

async function checkChat(turn: KnownTurn, room: Room): Promise<void> {
  if (turn.place.kind === 'dm' || !(await isPrivateWorkspace(turn.deps.api.db, room.id))) return;
  throw new AppError(
    'policy_denied',
    'This workspace is private: its documents are shown to its owner alone. Ask in a direct chat.',
  );
}
