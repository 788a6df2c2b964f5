import {
  ComponentType,
  InteractionResponseType,
  MessageFlags,
  Routes,
  TextInputStyle,
  type REST,
} from 'discord.js';
import type { Logger } from 'pino';
import { makeCustomId, readCustomId } from './message.ts';
import type { Interaction } from './payload.ts';
import { CODES, codeOf, toConnectorError } from './rest.ts';
import { REASON_FIELD } from './update.ts';

const REASON_MAX = 1_000;

/** A button that asks for a reason was pressed. */
export function isFormAsked(asked: Interaction): boolean {
  return asked.type === 3 && readCustomId(asked.data.custom_id)?.custom === 'ask';
}

/** Shows a form for the reason. Nothing is stored for that: nothing has happened yet, and whoever is cut off presses again. */
export async function openForm(rest: REST, asked: Interaction, log: Logger): Promise<void> {
  if (asked.type === 2) return;
  const data = readCustomId(asked.data.custom_id)?.data ?? '';
  await respond(
    rest,
    { asked, log },
    {
      type: InteractionResponseType.Modal,
      data: {
        custom_id: makeCustomId('form', data),
        title: 'Reason',
        components: [
          {
            type: ComponentType.Label,
            label: 'Why?',
            description: 'You may leave it empty.',
            component: {
              type: ComponentType.TextInput,
              custom_id: REASON_FIELD,
              style: TextInputStyle.Paragraph,
              required: false,
              max_length: REASON_MAX,
            },
          },
        ],
      },
    },
  );
}

/** Tells Discord that we have it, within the 3 s that it waits. The answer comes later, and is seen by the asker alone. */
export async function acknowledge(rest: REST, asked: Interaction, log: Logger): Promise<void> {
  await respond(
    rest,
    { asked, log },
    asked.type === 2
      ? {
          type: InteractionResponseType.DeferredChannelMessageWithSource,
          data: { flags: MessageFlags.Ephemeral },
        }
      : { type: InteractionResponseType.DeferredMessageUpdate },
  );
}

/** Too late or not at all: what was stored is handled anyway, and answered by a plain message. */
async function respond(
  rest: REST,
  { asked, log }: { readonly asked: Interaction; readonly log: Logger },
  body: unknown,
): Promise<void> {
  try {
    await rest.post(Routes.interactionCallback(asked.id, asked.token), { auth: false, body });
  } catch (error) {
    const code = codeOf(error);
    if (code === CODES.alreadyAcknowledged) return;
    // Not the error itself: it carries the interaction's token.
    const reason = toConnectorError(error, true).message;
    log.warn({ code, reason }, 'Discord did not hear in time that we have an interaction');
  }
}
