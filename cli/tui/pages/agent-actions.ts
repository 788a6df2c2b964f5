import { isTerminal } from '../../../domain/agent.ts';
import { CommandedSchema, QueuedInputSchema } from '../../../domain/schema/agent.ts';
import type { Agent } from '../../resolve.ts';
import { plainLine } from '../../text.ts';
import type { Action, Api, Outcome } from '../model.ts';
import { doing, PRESS, typing } from './part.ts';

/** What can be done with an agent as it is now. */
export function agentActions(agent: Agent): readonly Action[] {
  const { state } = agent;
  if (isTerminal(state)) return [];
  const isRunning = state !== 'suspended' && state !== 'lost';
  return [
    ...(isRunning
      ? [
          { key: 'a', label: 'attach', deed: { kind: 'attach', agent, mode: 'view' } } as const,
          { key: 't', label: 'type there', deed: { kind: 'attach', agent, mode: 'type' } } as const,
          sendAction(agent),
          interruptAction(agent),
          lifecycle(agent, 'suspend'),
        ]
      : [lifecycle(agent, 'resume')]),
    stopAction(agent),
  ];
}

function sendAction({ id, name }: Agent): Action {
  return doing({
    key: 'm',
    label: 'send text',
    ask: {
      title: `Send to ${plainLine(name)}`,
      words: ['It is typed with Enter behind it, as soon as the CLI can take it.'],
      fields: [{ name: 'text', label: 'Text', kind: 'text' }],
      confirm: PRESS,
      verb: 'send it',
    },
    busy: 'Sending',
    run: async ({ client }, { text = '' }): Promise<Outcome> => {
      await client.send({
        method: 'POST',
        path: `/v1/agents/${id}/input`,
        body: { text },
        schema: QueuedInputSchema,
      });
      return { words: 'Sent: it is typed as soon as the CLI can take it.' };
    },
  });
}

function interruptAction({ id, name }: Agent): Action {
  return doing({
    key: 'i',
    label: 'interrupt',
    ask: {
      title: `Interrupt ${plainLine(name)}`,
      words: ['Asks the CLI to stop what it is doing now. The agent goes on living.'],
      fields: [],
      confirm: PRESS,
      verb: 'interrupt it',
    },
    busy: 'Interrupting',
    run: async ({ client }) => {
      const path = `/v1/agents/${id}/interrupt`;
      await client.send({ method: 'POST', path, schema: QueuedInputSchema });
      return { words: 'It is asked to stop what it does.' };
    },
  });
}

const LIFECYCLE = {
  suspend: {
    key: 'z',
    busy: 'Suspending',
    done: 'Suspended; its conversation is kept.',
    words: 'Ends its session and keeps the conversation, which resume continues.',
  },
  resume: {
    key: 'u',
    busy: 'Resuming',
    done: 'It continues.',
    words: 'Starts its CLI again with its own conversation.',
  },
  stop: { key: 'x', busy: 'Stopping', done: 'It has ended.', words: 'Ends the agent for good.' },
} as const;

function lifecycle({ id, name }: Agent, what: 'suspend' | 'resume'): Action {
  const { key, busy, done, words } = LIFECYCLE[what];
  return doing({
    key,
    label: what,
    ask: {
      title: `${what === 'suspend' ? 'Suspend' : 'Resume'} ${plainLine(name)}`,
      words: [words],
      fields: [],
      confirm: PRESS,
      verb: `${what} it`,
    },
    busy,
    run: (api) => command(api, { id, what, done }),
  });
}

function stopAction({ id, name }: Agent): Action {
  const { key, busy, done, words } = LIFECYCLE.stop;
  return doing({
    key,
    label: 'stop',
    ask: {
      title: `Stop ${plainLine(name)}`,
      words: [words, 'Its output, recording and events stay. An approval that is open is voided.'],
      fields: [],
      confirm: typing('stop'),
      verb: 'end it',
    },
    busy,
    run: (api) => command(api, { id, what: 'stop', done }),
  });
}

async function command(
  { client }: Api,
  { id, what, done }: { readonly id: string; readonly what: string; readonly done: string },
): Promise<Outcome> {
  const path = `/v1/agents/${id}/${what}`;
  const { body } = await client.send({ method: 'POST', path, schema: CommandedSchema });
  return {
    words: body.status === 'accepted' ? done : 'Taken; it is done as soon as its host answers.',
  };
}
