import { Option, type Command } from 'commander';
import { isId } from '../../domain/id.ts';
import { POST_STATES, PostSchema, RetriedUpdatesSchema } from '../../domain/schema/connector.ts';
import { pageOf } from '../../domain/schema/page.ts';
import { adminCommand } from '../command.ts';
import { connectorPath, notAnId } from '../connector-path.ts';
import { postTable } from '../connector-view.ts';
import { inContext } from '../context.ts';
import type { CliIo } from '../io.ts';

const ID = 'id of the connector';
const EXAMPLE = 'con_01kq3zd8c2f5tv7m9x4r6b0wne';

export function postsCommand(io: CliIo): Command {
  return adminCommand('posts', {
    summary: 'list what a bot was to say',
    description:
      'Lists what a bot was to say and what became of it, without what it was. `uncertain`: the connection or the ' +
      'process ended while it was sent, so that it may be there; it is not sent again by itself.',
    examples: [[`rookery connector posts ${EXAMPLE} --state uncertain`, 'what needs a look']],
  })
    .argument('<connector>', ID)
    .addOption(new Option('--state <state>', 'only these').choices(POST_STATES))
    .action((id: string, flags: { readonly state?: string }, command) =>
      inContext(command, io, async (context) => {
        const query = flags.state === undefined ? '' : `&state=${flags.state}`;
        const path = `${connectorPath(id)}/posts?limit=200${query}`;
        const { items } = await context.admin().get(path, pageOf(PostSchema));
        await context.answer({ items }, () =>
          items.length === 0 ? 'No posts.' : postTable(items, context),
        );
      }),
    );
}

export function sendAgainCommand(io: CliIo): Command {
  return adminCommand('send-again', {
    summary: 'say something again that is uncertain or failed',
    description: 'Says it again. Where it was uncertain it may be there twice then: look first.',
    examples: [['rookery connector send-again pst_01kq3zd8c2f5tv7m9x4r6b0wne', 'it is not there']],
  })
    .argument('<post>', 'id of the post')
    .action((id: string, _flags, command) =>
      inContext(command, io, async (context) => {
        if (!isId('post', id)) throw notAnId('post', 'pst');
        const path = `/v1/posts/${id}/send-again`;
        const { body } = await context
          .admin()
          .send({ method: 'POST', path, body: {}, schema: PostSchema });
        await context.answer(body, () => `${body.id} is ${body.state}.`);
      }),
    );
}

export function retryCommand(io: CliIo): Command {
  return adminCommand('retry', {
    summary: 'have messages handled again that were given up',
    description: 'Hands over once more what failed five times, in the order in which it came.',
    examples: [[`rookery connector retry ${EXAMPLE}`, 'after what broke them was mended']],
  })
    .argument('<connector>', ID)
    .action((id: string, _flags, command) =>
      inContext(command, io, async (context) => {
        const path = `${connectorPath(id)}/retry-updates`;
        const { body } = await context
          .admin()
          .send({ method: 'POST', path, body: {}, schema: RetriedUpdatesSchema });
        await context.answer(body, () => `${body.count} are handled again.`);
      }),
    );
}
