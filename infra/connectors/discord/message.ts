import type { RawFile, RESTPostAPIChannelMessageJSONBody } from 'discord.js';
import { ButtonStyle, ComponentType, MessageFlags } from 'discord.js';
import type { ChatButton, ChatPost } from '../../../domain/chat.ts';
import { sha256Hex } from '../../digest.ts';
import { ConnectorError } from '../contract.ts';
import { plainTextOf, visibleText } from '../safe-text.ts';
import { TEXT_MAX } from './capabilities.ts';
import { renderSpans } from './text.ts';

/** Of the text of an embed. */
const EMBED_TEXT_MAX = 4_096;
/** What Discord takes of a file from a bot without extras is 10 MiB; the rest of the request needs some of it. */
const FILE_BYTES_MAX = 9 * 1024 * 1024;
const LABEL_MAX = 80;
const CUSTOM_ID_MAX = 100;
const ROWS_MAX = 5;
const BUTTONS_OF_ROW_MAX = 5;
/** All that Discord takes: 100 bits of a digest, which no two keys share. */
const NONCE_CHARACTERS = 25;
/** Amber: something is to be decided. */
const CARD_COLOR = 0xd9_8e_04;

const NO_FLAGS = 0;

export interface Message {
  readonly body: Pick<
    RESTPostAPIChannelMessageJSONBody,
    'content' | 'embeds' | 'components' | 'allowed_mentions' | 'attachments'
  > & { readonly flags: number };
  readonly files: RawFile[];
}

/**
 * As Discord wants it. What can be pressed is an embed, which people cannot make: nobody types a card that looks like
 * ours. All else is plain text. `isEdit`: what was a card may stay one, with its buttons gone.
 */
export function toMessage(post: ChatPost, isEdit: boolean): Message {
  const isCard = isEdit || post.buttons.length > 0;
  const text = renderSpans(post.spans, isCard ? EMBED_TEXT_MAX : TEXT_MAX);
  const files = filesOf(post, text.isWhole);
  return {
    body: {
      content: isCard ? '' : text.markdown,
      embeds: isCard ? [{ description: text.markdown, color: CARD_COLOR }] : [],
      components: toRows(post.buttons),
      // Nobody is pinged by what others wrote, whatever the text says.
      allowed_mentions: { parse: [], replied_user: false },
      // What an earlier version of the message had goes.
      attachments: files.map(({ name }, index) => ({ id: String(index), filename: name })),
      // No previews: they fetch what the text names. The flag would hide our own embed too.
      flags: isCard ? NO_FLAGS : MessageFlags.SuppressEmbeds,
    },
    files,
  };
}

function filesOf({ file, spans }: ChatPost, isWhole: boolean): RawFile[] {
  const files = file === null ? [] : [toFile(file.name, file.text)];
  return isWhole ? files : [...files, toFile('message.md', plainTextOf(spans))];
}

function toFile(name: string, text: string): RawFile {
  const bytes = Buffer.from(text.toWellFormed());
  return {
    name: name.replaceAll(/[^\w.-]/g, '_').slice(-64),
    data:
      bytes.length <= FILE_BYTES_MAX
        ? bytes
        : Buffer.concat([bytes.subarray(0, FILE_BYTES_MAX), Buffer.from('\n… (cut)\n')]),
    contentType: 'text/markdown; charset=utf-8',
  };
}

function toRows(rows: ChatPost['buttons']): Row[] {
  if (rows.length > ROWS_MAX || rows.some((row) => row.length > BUTTONS_OF_ROW_MAX)) {
    throw new ConnectorError('rejected', 'There are more buttons than Discord takes.');
  }
  return rows.map(toRow);
}

type Row = NonNullable<RESTPostAPIChannelMessageJSONBody['components']>[number];

function toRow(buttons: readonly ChatButton[]): Row {
  return {
    type: ComponentType.ActionRow,
    components: buttons.map((button) => ({
      type: ComponentType.Button,
      style: STYLES[button.tone],
      label: visibleText(button.label).slice(0, LABEL_MAX),
      custom_id: customIdOf(button),
    })),
  };
}

const STYLES = {
  positive: ButtonStyle.Success,
  negative: ButtonStyle.Danger,
  neutral: ButtonStyle.Secondary,
} as const;

/** What a button or a form is, with what it was given. It comes back with a press, after a restart too. */
export type Custom = 'press' | 'ask' | 'form';
const CUSTOM_MARKS = { press: 'p', ask: 'r', form: 'f' } as const;

export function makeCustomId(custom: Custom, data: string): string {
  const id = `${CUSTOM_MARKS[custom]}:${data}`;
  if (id.length > CUSTOM_ID_MAX) {
    throw new ConnectorError('rejected', 'The data of a button is longer than Discord takes.');
  }
  return id;
}

function customIdOf({ data, asksReason }: ChatButton): string {
  return makeCustomId(asksReason === true ? 'ask' : 'press', data);
}

/** Null for what is none of ours. */
export function readCustomId(
  id: string,
): { readonly custom: Custom; readonly data: string } | null {
  const match = /^([prf]):(.*)$/s.exec(id);
  if (match === null) return null;
  const custom = match[1] === 'p' ? 'press' : match[1] === 'r' ? 'ask' : 'form';
  return { custom, data: match[2] ?? '' };
}

/** By which Discord knows that it has a message already. */
export function nonceOf(key: string): string {
  return sha256Hex(key).slice(0, NONCE_CHARACTERS);
}
