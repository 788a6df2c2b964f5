import type { z } from 'zod';
import { CertificateSchema } from '../../../domain/schema/certificate.ts';
import { ExplanationSchema } from '../../../domain/schema/explain.ts';
import { UserSchema } from '../../../domain/schema/user.ts';
import { CliError } from '../../exit.ts';
import type { Block, Model, Page, Row, Tone } from '../model.ts';
import { enrolAction, offerAction, revokeAction } from './access-actions.ts';
import { cell, fact, timeCell } from './part.ts';

type Certificate = z.output<typeof CertificateSchema>;
type User = z.output<typeof UserSchema>;

/** What an answer was, or why there was none: this page is also for who has no access yet. */
type Got<T> =
  | { readonly value: T; readonly problem: null }
  | { readonly value: null; readonly problem: string };

export interface AccessParts {
  readonly origin: string;
  readonly adminOrigin: Got<string>;
  readonly self: Got<z.output<typeof ExplanationSchema>>;
  readonly certificates: Got<readonly Certificate[]>;
  readonly users: Got<readonly User[]>;
  readonly nowMs: number;
}

const ROWS_MAX = 2_000;

export const accessPage: Page = {
  title: 'Access',
  listener: 'public',
  events: [],
  pollMs: 15_000,
  load: async (api) => {
    const { client, admin, workspace } = api;
    const query = { action: 'getWorkspace', workspace: workspace?.id };
    const listOf = <T extends z.ZodType>(path: string, item: T) =>
      got(async () => admin().list({ path, item, limit: ROWS_MAX }));
    const [adminOrigin, self, certificates, users] = await Promise.all([
      got(async () => admin().origin),
      got(() => client.get('/v1/explain', ExplanationSchema, query)),
      listOf('/v1/certificates', CertificateSchema),
      listOf('/v1/users', UserSchema),
    ]);
    return accessModel({
      origin: client.origin,
      adminOrigin,
      self,
      certificates,
      users,
      nowMs: api.now(),
    });
  },
};

async function got<T>(get: () => Promise<T>): Promise<Got<T>> {
  try {
    return { value: await get(), problem: null };
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return { value: null, problem: error.message };
  }
}

export function accessModel(parts: AccessParts): Model {
  const { certificates, users } = parts;
  const names = new Map<string, string>((users.value ?? []).map(({ id, name }) => [id, name]));
  const empty =
    certificates.problem === null
      ? [
          'No certificates yet.',
          '',
          'o makes a secret with which one machine of a user enrols, once.',
        ]
      : [`Certificates cannot be seen from here: ${certificates.problem}`];
  return {
    title: 'Access',
    blocks: connectionBlocks(parts),
    table: {
      columns: [
        { title: 'CERTIFICATE', cut: true },
        { title: 'OF', cut: true },
        { title: 'STATE' },
        { title: 'ENDS', drop: 2 },
        { title: 'USED', drop: 1 },
        { title: 'SERIAL', drop: 0 },
      ],
      rows: (certificates.value ?? []).map((each) => rowOf(each, { names, nowMs: parts.nowMs })),
      empty,
    },
    actions: [
      enrolAction(parts.origin),
      ...(users.value === null || users.value.length === 0 ? [] : [offerAction(users.value)]),
    ],
  };
}

const VIA: Readonly<Record<string, string>> = {
  api_key: 'an API key',
  oidc: 'a token of an identity provider',
  certificate: 'a client certificate',
  chat: 'a chat account',
};

function connectionBlocks({ origin, adminOrigin, self }: AccessParts): readonly Block[] {
  const { value } = self;
  return [
    ...fact('API', origin),
    ...fact(
      'Admin',
      adminOrigin.value ?? adminOrigin.problem,
      adminOrigin.value === null ? 'warn' : 'plain',
    ),
    ...(value === null
      ? fact('You', self.problem, 'bad')
      : fact(
          'You',
          `${value.principal.name}, by ${VIA[value.principal.via] ?? value.principal.via}`,
        )),
    ...(value === null ? [] : fact('Role', value.role ?? 'none in this workspace')),
  ];
}

function stateOf({ revokedAt, expiresAt }: Certificate, nowMs: number): readonly [string, Tone] {
  if (revokedAt !== null) return ['revoked', 'dim'];
  return Date.parse(expiresAt) < nowMs ? ['expired', 'dim'] : ['good', 'good'];
}

interface Known {
  readonly names: ReadonlyMap<string, string>;
  readonly nowMs: number;
}

function rowOf(certificate: Certificate, { names, nowMs }: Known): Row {
  const { id, label, userId, serial, expiresAt, lastUsedAt } = certificate;
  const [state, tone] = stateOf(certificate, nowMs);
  const owner = names.get(userId) ?? userId;
  return {
    id,
    cells: [
      cell(label === '' ? id : label),
      cell(owner),
      cell(state, tone),
      timeCell(expiresAt),
      timeCell(lastUsedAt),
      cell(serial, 'dim'),
    ],
    actions: state === 'good' ? [revokeAction(certificate, owner)] : [],
  };
}
