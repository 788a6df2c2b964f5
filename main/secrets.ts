import { AppError } from '../domain/error.ts';
import type { Config } from '../infra/config/config.ts';
import { loadInstanceSecrets, type InstanceSecrets } from '../infra/secrets/instance-secrets.ts';
import { createProviders } from '../infra/secrets/providers.ts';
import { createSecretResolver } from '../infra/secrets/resolver.ts';

export interface Secrets extends InstanceSecrets {
  /** The value behind a reference that agents may be given. */
  resolve(reference: string): Promise<string>;
  /** The value behind a reference that a connector may have as its secret. */
  resolveConnector(reference: string): Promise<string>;
  mayConnectorName(reference: string): boolean;
  /** The value behind a reference of the runtime's own settings. */
  resolveOwn(reference: string): Promise<string>;
}

/** The instance's own keys, made on the first start, and the providers that agents' secrets come from. */
export function openSecrets(
  config: Config,
  env: Readonly<Record<string, string | undefined>>,
): Secrets {
  const resolver = createSecretResolver(createProviders(config, env));
  return {
    ...loadInstanceSecrets(config.dataDir),
    resolveOwn: (reference) => resolver.resolve(reference),
    mayConnectorName: (reference) =>
      config.connectors.secretRefs.some((allowed) => isAllowed(reference, allowed)),
    async resolveConnector(reference) {
      // Whoever may change a connector's server chooses who gets to see its secret, and this environment holds others.
      if (!config.connectors.secretRefs.some((allowed) => isAllowed(reference, allowed))) {
        throw new AppError(
          'policy_denied',
          `Connectors may not be given ${reference}. An administrator lists it under connectors.secretRefs.`,
        );
      }
      return resolver.resolve(reference);
    },
    async resolve(reference) {
      // Whoever may spawn an agent chooses its references, and this process's environment holds more than theirs.
      if (!config.agents.secretRefs.some((allowed) => isAllowed(reference, allowed))) {
        throw new AppError(
          'policy_denied',
          `Agents may not be given ${reference}. An administrator lists it under agents.secretRefs.`,
        );
      }
      return resolver.resolve(reference);
    },
  };
}

/** `vault:secret/agents/*` allows what begins so. A path that climbs out of it again is no such path. */
function isAllowed(reference: string, allowed: string): boolean {
  if (!allowed.endsWith('*')) return reference === allowed;
  return reference.startsWith(allowed.slice(0, -1)) && !/(?:^|[/:])\.\.(?:[/#?]|$)/.test(reference);
}
