import { z } from 'zod';
import { CertificateSchema, EnrolmentSecretSchema } from '../../../domain/schema/certificate.ts';
import { ExplanationSchema } from '../../../domain/schema/explain.ts';
import { UserSchema } from '../../../domain/schema/user.ts';
import { CliError } from '../../exit.ts';
import { plainLine } from '../../text.ts';
import type { Action, Api, Block, Model, Outcome, Page, Row, Tone } from '../model.ts';
import { cell, changeAsAdmin, doing, fact, PRESS, timeCell, typing, words } from './part.ts';

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

function revokeAction({ id, label }: Certificate, owner: string): Action {
  return doing({
    key: 'x',
    label: 'revoke',
    ask: {
      title: 'Revoke a certificate',
      words: [
        `${plainLine(label === '' ? id : label)} of ${plainLine(owner)}, and those that were asked for with it, are refused at once.`,
      ],
      fields: [],
      confirm: typing('revoke'),
      verb: 'revoke it',
    },
    busy: 'Revoking',
    run: async (api) => {
      const path = `/v1/certificates/${id}`;
      await changeAsAdmin(api, { method: 'DELETE', path, schema: z.unknown() });
      return { words: 'Revoked.' };
    },
  });
}

function enrolAction(origin: string): Action {
  return doing({
    key: 'e',
    label: 'enrol this machine',
    ask: {
      title: 'Enrol this machine',
      words: [
        'Makes a key that never leaves this machine, and has it certified for the admin listener.',
        'The secret is one of rookery enrol-secret on the server, or of an admin (o on this page).',
      ],
      fields: [
        { name: 'url', label: 'Address', kind: 'text', initial: origin, hint: 'of the API' },
        { name: 'secret', label: 'Secret', kind: 'secret', hint: 'begins with rkb_; not shown' },
        {
          name: 'label',
          label: 'Machine',
          kind: 'text',
          optional: true,
          hint: 'a name of it, for lists',
        },
        {
          name: 'replace',
          label: 'If it has one',
          kind: 'choice',
          options: [
            { value: 'no', label: 'keep that certificate' },
            { value: 'yes', label: 'put the new one in its place' },
          ],
        },
      ],
      confirm: PRESS,
      verb: 'enrol this machine',
    },
    busy: 'Enrolling',
    run: async (api, { url = '', secret = '', label = '', replace = 'no' }): Promise<Outcome> => {
      const said = await api.enrol({ url, secret, label, replace: replace === 'yes' });
      const blocks: readonly Block[] = [
        ...said.split('\n').map((text) => words(text)),
        words(''),
        words(
          'Leave with q and start rookery tui again: then it comes with the certificate.',
          'strong',
        ),
      ];
      return { words: 'This machine is enrolled.', show: { title: 'Enrolled', blocks } };
    },
  });
}

function offerAction(users: readonly User[]): Action {
  return doing({
    key: 'o',
    label: 'offer enrolment',
    ask: {
      title: 'A secret to enrol with',
      words: [
        'It lets one machine of a user enrol, once and for ten minutes. It is shown here only.',
      ],
      fields: [
        {
          name: 'userId',
          label: 'User',
          kind: 'choice',
          options: users
            .filter(({ disabledAt }) => disabledAt === null)
            .map(({ id, name }) => ({ value: id, label: plainLine(name) })),
        },
      ],
      confirm: PRESS,
      verb: 'make the secret',
    },
    busy: 'Making the secret',
    run: (api, { userId = '' }) => offer(api, userId),
  });
}

async function offer(api: Api, userId: string) {
  const made = await changeAsAdmin(api, {
    method: 'POST',
    path: '/v1/enrolment-secrets',
    body: { userId },
    schema: EnrolmentSecretSchema,
  });
  const blocks: readonly Block[] = [
    { kind: 'words', text: 'Shown once. Give it to its user by a way that nobody else reads.' },
    { kind: 'words', text: '' },
    ...fact('Secret', made.secret ?? 'was shown already', 'strong'),
    ...fact('Good until', made.expiresAt),
  ];
  return { words: 'The secret is made.', show: { title: 'Enrolment secret', blocks } };
}
