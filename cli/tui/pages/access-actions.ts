import { z } from 'zod';
import {
  EnrolmentSecretSchema,
  type CertificateSchema,
} from '../../../domain/schema/certificate.ts';
import type { UserSchema } from '../../../domain/schema/user.ts';
import { plainLine } from '../../text.ts';
import type { Action, Api, Block, Outcome } from '../model.ts';
import { changeAsAdmin, doing, fact, PRESS, typing, words } from './part.ts';

type Certificate = z.output<typeof CertificateSchema>;
type User = z.output<typeof UserSchema>;

export function revokeAction({ id, label }: Certificate, owner: string): Action {
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

export function enrolAction(origin: string): Action {
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

export function offerAction(users: readonly User[]): Action {
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
