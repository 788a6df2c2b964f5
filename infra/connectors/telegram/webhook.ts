import { ConnectorError } from '../contract.ts';
import { connectorErrorOf, identityError, isTokenRefused } from './errors.ts';
import { UPDATE_KINDS } from './payload.ts';
import { pause, type Reader } from './reader.ts';

const WEBHOOK_LOOK_EVERY_MS = 60_000;

/** Where updates are pushed to; the route of the API stores them. */
export async function readByWebhook(reader: Reader, signal: AbortSignal): Promise<void> {
  const { api, sink, settings, connectorId, webhookSecret } = reader;
  if (webhookSecret === null || settings.webhookUrl === undefined) {
    throw new ConnectorError('rejected', 'This connector has no secret for its webhook.');
  }
  const url = webhookAddress(settings.webhookUrl, connectorId);
  await api
    .setWebhook(url, {
      secret_token: webhookSecret,
      allowed_updates: UPDATE_KINDS,
      // One at a time, so that they come in order.
      max_connections: 1,
    })
    .catch((error: unknown) => {
      throw isTokenRefused(error) ? identityError(error) : connectorErrorOf(error);
    });
  sink.changed('connected', 'Updates are pushed.');
  while (!signal.aborted) {
    await pause(WEBHOOK_LOOK_EVERY_MS, signal);
    if (signal.aborted) return;
    const info = await api.getWebhookInfo().catch((error: unknown) => {
      throw isTokenRefused(error) ? identityError(error) : connectorErrorOf(error);
    });
    if (info.url === url) {
      const { last_error_message: failed = '', pending_update_count: waiting } = info;
      sink.changed(
        'connected',
        waiting > 0 && failed !== '' ? `Pushing fails: ${failed}` : 'Updates are pushed.',
      );
    } else {
      sink.changed('conflict', 'Somebody else has set this bot another webhook.');
      throw new ConnectorError('retry', 'The webhook was set elsewhere and is set again.');
    }
  }
}

function webhookAddress(base: string, connectorId: string): string {
  return `${base}/v1/connectors/${connectorId}/telegram`;
}
