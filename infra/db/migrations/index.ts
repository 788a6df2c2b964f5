import type { Migration } from 'kysely/migration';
import * as firstLight from './0001-first-light.ts';
import * as agentKey from './0002-agent-key.ts';
import * as hosting from './0003-hosting.ts';
import * as definitionLimit from './0004-definition-limit.ts';
import * as modelCall from './0005-model-call.ts';
import * as webhook from './0006-webhook.ts';
import * as panel from './0007-panel.ts';
import * as documentMessage from './0008-document-message.ts';
import * as checkpoint from './0009-checkpoint.ts';
import * as people from './0010-people.ts';
import * as chat from './0011-chat.ts';
import * as policy from './0012-policy.ts';
import * as gate from './0013-gate.ts';
import * as connector from './0014-connector.ts';
import * as markdownLog from './0015-markdown-log.ts';
import * as chatSurface from './0016-chat-surface.ts';
import * as certificate from './0017-certificate.ts';

/** In order of name. Forward only: a mistake is mended by the next one, never by editing one that was released. */
export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001-first-light': firstLight,
  '0002-agent-key': agentKey,
  '0003-hosting': hosting,
  '0004-definition-limit': definitionLimit,
  '0005-model-call': modelCall,
  '0006-webhook': webhook,
  '0007-panel': panel,
  '0008-document-message': documentMessage,
  '0009-checkpoint': checkpoint,
  '0010-people': people,
  '0011-chat': chat,
  '0012-policy': policy,
  '0013-gate': gate,
  '0014-connector': connector,
  '0015-markdown-log': markdownLog,
  '0016-chat-surface': chatSurface,
  '0017-certificate': certificate,
};
