import type { Server } from 'node:http';
import { WebSocketServer, type RawData, type WebSocket } from 'ws';
import { z } from 'zod';
import { guildPayload, userPayload, type World } from './discord-world.ts';

const OP = {
  dispatch: 0,
  heartbeat: 1,
  identify: 2,
  resume: 6,
  reconnect: 7,
  invalidSession: 9,
  hello: 10,
  heartbeatAck: 11,
} as const;

const MESSAGE_CONTENT_INTENT = 1 << 15;

interface Session {
  readonly id: string;
  /** Everything that was dispatched, so that a client which resumes gets what it missed. */
  readonly events: { readonly type: string; readonly data: unknown }[];
  readonly isFirstShard: boolean;
  socket: WebSocket | null;
}

export interface DiscordGateway {
  dispatch(type: string, data: unknown): void;
  /** How clients came: `identify` or `resume`, in order. */
  readonly arrivals: string[];
  /** Connections that identified and are open. */
  connections(): number;
  /** Closes them; without a code the connection breaks. */
  cut(code?: number): void;
  /** Asks for a new connection, which resumes. */
  askToReconnect(): void;
  /** Sessions are over: who resumes has to identify anew. */
  forgetSessions(): void;
  /** What clients are closed with instead of being let in; null lets them in. */
  refuseWith(code: number | null): void;
  close(): Promise<void>;
}

export function createDiscordGateway(
  server: Server,
  world: World,
  options: { readonly isToken: (token: string) => boolean },
): DiscordGateway {
  const sockets = new WebSocketServer({ server, path: '/gateway' });
  const sessions = new Map<string, Session>();
  const arrivals: string[] = [];
  let refusal: number | null = null;
  let gatewayUrl = '';

  sockets.on('connection', (socket) => {
    const address = server.address();
    if (address !== null && typeof address === 'object') {
      gatewayUrl = `ws://127.0.0.1:${address.port}/gateway`;
    }
    say(socket, { op: OP.hello, d: { heartbeat_interval: 5_000 } });
    socket.on('message', (bytes) => hear(socket, Packet.parse(JSON.parse(textOf(bytes)))));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      for (const session of sessions.values()) if (session.socket === socket) session.socket = null;
    });
  });

  function hear(socket: WebSocket, packet: z.infer<typeof Packet>): void {
    if (packet.op === OP.heartbeat) say(socket, { op: OP.heartbeatAck });
    if (packet.op === OP.identify) identify(socket, Identify.parse(packet.d));
    if (packet.op === OP.resume) resume(socket, Resume.parse(packet.d));
  }

  function identify(socket: WebSocket, { token, intents, shard }: Identify): void {
    arrivals.push('identify');
    const needed = (intents & MESSAGE_CONTENT_INTENT) !== 0;
    if (refusal !== null && (refusal !== 4014 || needed)) return socket.close(refusal);
    if (!options.isToken(token)) return socket.close(4004);
    const id = world.nextId();
    const session: Session = { id, events: [], socket, isFirstShard: (shard?.[0] ?? 0) === 0 };
    sessions.set(id, session);
    const guilds = [...world.guilds.values()];
    tell(session, 'READY', {
      v: 10,
      user: userPayload(world.bot),
      session_id: id,
      resume_gateway_url: gatewayUrl,
      application: { id: world.applicationId, flags: 0 },
      guilds: guilds.map((guild) => ({ id: guild.id, unavailable: true })),
      shard: shard ?? [0, 1],
    });
    for (const guild of guilds) tell(session, 'GUILD_CREATE', guildPayload(world, guild));
  }

  function resume(socket: WebSocket, { token, session_id, seq }: Resume): void {
    arrivals.push('resume');
    if (!options.isToken(token)) return socket.close(4004);
    const session = sessions.get(session_id);
    if (session === undefined) return say(socket, { op: OP.invalidSession, d: false });
    session.socket = socket;
    session.events.slice(seq).forEach(({ type, data }, index) => {
      say(socket, { op: OP.dispatch, t: type, s: seq + index + 1, d: data });
    });
    tell(session, 'RESUMED', {});
  }

  function tell(session: Session, type: string, data: unknown): void {
    session.events.push({ type, data });
    if (session.socket === null) return;
    say(session.socket, { op: OP.dispatch, t: type, s: session.events.length, d: data });
  }

  return {
    arrivals,
    dispatch(type, data) {
      for (const session of sessions.values()) tell(session, type, data);
    },
    connections: () => [...sessions.values()].filter(({ socket }) => socket !== null).length,
    cut(code) {
      for (const socket of sockets.clients) {
        if (code === undefined) socket.terminate();
        else socket.close(code);
      }
    },
    askToReconnect() {
      for (const socket of sockets.clients) say(socket, { op: OP.reconnect, d: null });
    },
    forgetSessions: () => sessions.clear(),
    refuseWith(code) {
      refusal = code;
    },
    async close() {
      for (const socket of sockets.clients) socket.terminate();
      await new Promise((resolve) => sockets.close(resolve));
    },
  };
}

function textOf(bytes: RawData): string {
  return Buffer.isBuffer(bytes) ? bytes.toString() : '';
}

const Packet = z.object({ op: z.number(), d: z.unknown() });
const Identify = z.object({
  token: z.string(),
  intents: z.number(),
  shard: z.array(z.number()).optional(),
});
type Identify = z.infer<typeof Identify>;
const Resume = z.object({ token: z.string(), session_id: z.string(), seq: z.number() });
type Resume = z.infer<typeof Resume>;

function say(socket: WebSocket, packet: object): void {
  if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(packet));
}
