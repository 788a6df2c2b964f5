import { isId } from '../domain/id.ts';
import { PolicyVersionSchema } from '../domain/schema/policy.ts';
import type { Context } from './context.ts';
import { CliError } from './exit.ts';
import { workspacePath } from './resolve.ts';
import { plainLine } from './text.ts';

/** A version of the workspace's policy, by its number or its id. */
export async function policyPath(context: Context, reference: string): Promise<string> {
  if (isId('policy', reference)) return `/v1/policies/${reference}`;
  if (!/^[1-9]\d{0,8}$/.test(reference)) {
    throw new CliError(
      'usage',
      `${plainLine(reference)} is neither the number nor the id of a version.`,
    );
  }
  const path = `${await workspacePath(context)}/policies`;
  for await (const { id, version } of context.client.pages({ path, item: PolicyVersionSchema })) {
    if (version === Number(reference)) return `/v1/policies/${id}`;
  }
  throw new CliError('not_found', `There is no version ${reference}.`, {
    hint: 'rookery policy history',
  });
}
