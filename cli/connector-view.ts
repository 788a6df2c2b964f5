import type { z } from 'zod';
import type { ConnectorSchema, PostSchema } from '../domain/schema/connector.ts';
import type { Context } from './context.ts';
import { facts, table } from './table.ts';
import { plainLine, type Style } from './text.ts';

type Connector = z.output<typeof ConnectorSchema>;
type Post = z.output<typeof PostSchema>;

const STYLES: Readonly<Record<Connector['state'], Style>> = {
  stopped: 'dim',
  connecting: 'yellow',
  connected: 'green',
  refused: 'red',
  conflict: 'red',
};

export function connectorTable(items: readonly Connector[], context: Context): string {
  return table<Connector>(
    [
      { title: 'ID', value: ({ id }) => id },
      { title: 'NETWORK', value: ({ network }) => network },
      { title: 'NAME', value: ({ name }) => plainLine(name), cut: true },
      { title: 'STATE', value: ({ state }) => state, style: ({ state }) => STYLES[state] },
      { title: 'SINCE', value: ({ since }) => context.ago(since), drop: 2 },
      { title: 'BOT', value: ({ botName }) => plainLine(botName ?? ''), drop: 1 },
      { title: 'DETAIL', value: ({ detail }) => plainLine(detail), cut: true, drop: 3 },
    ],
    items,
    context,
  );
}

export function connectorFacts(connector: Connector, { paint, ago }: Context): string {
  const { botId, botName, settings, detail, state } = connector;
  const told = Object.entries(settings).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return facts(
    [
      ['Id', connector.id],
      ['Name', plainLine(connector.name)],
      ['Network', connector.network],
      ['Bot', botId === null ? null : plainLine(`${botName ?? ''} (${botId})`)],
      ['State', paint(STYLES[state], `${state}, ${ago(connector.since)}`)],
      ['Detail', detail === '' ? null : plainLine(detail)],
      ['Enabled', connector.enabled ? 'yes' : 'no'],
      ['Secret', plainLine(connector.secretRef ?? 'sealed')],
      ['Settings', told.length === 0 ? null : plainLine(told.join(' '))],
      ['Made', `${ago(connector.createdAt)} by ${connector.createdBy}`],
    ],
    paint,
  );
}

export function postTable(items: readonly Post[], context: Context): string {
  return table<Post>(
    [
      { title: 'ID', value: ({ id }) => id },
      { title: 'STATE', value: ({ state }) => state },
      { title: 'KIND', value: ({ kind }) => kind, drop: 1 },
      { title: 'CHAT', value: ({ place }) => plainLine(place), cut: true },
      { title: 'MADE', value: ({ createdAt }) => context.ago(createdAt), drop: 2 },
      { title: 'WHY', value: ({ error }) => plainLine(error ?? ''), cut: true },
    ],
    items,
    context,
  );
}
