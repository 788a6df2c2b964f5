active_policy.workspace_id text not null
active_policy.policy_id text not null
active_policy.activated_by text not null
active_policy.activated_at timestamp with time zone not null default now()
agent.id text not null
agent.seq bigint not null identity
agent.workspace_id text not null
agent.spawn_id text not null
agent.ordinal integer not null
agent.name text not null
agent.type text not null
agent.body text not null
agent.host_id text
agent.epoch integer not null default 0
agent.state text not null
agent.lifecycle text not null
agent.state_detail text not null default ''::text
agent.spec jsonb not null
agent.cli_session_id text
agent.turn integer not null default 0
agent.fact_seq bigint not null default 0
agent.lease_until timestamp with time zone
agent.owner_id text not null
agent.created_at timestamp with time zone not null default now()
agent.ended_at timestamp with time zone
agent.exit_code integer
agent.error text
agent.definition_id text
agent.definition_version integer
agent.labels jsonb not null default '{}'::jsonb
agent.capabilities text[] not null default '{}'::text[]
agent.limit_origins jsonb not null default '{}'::jsonb
agent.state_since timestamp with time zone not null default now()
agent.session_since timestamp with time zone
agent.session_ms bigint not null default 0
agent.limit_reached text
agent.context_id text
agent_grant.agent_id text not null
agent_grant.permission text not null
agent_grant.approval_id text not null
agent_grant.granted_at timestamp with time zone not null default now()
agent_key.id text not null
agent_key.agent_id text not null
agent_key.workspace_id text not null
agent_key.epoch integer not null
agent_key.use text not null
agent_key.prefix text not null
agent_key.hash text not null
agent_key.binding_hash text not null
agent_key.grants text[] not null
agent_key.created_at timestamp with time zone not null default now()
agent_key.expires_at timestamp with time zone
agent_key.revoked_at timestamp with time zone
agent_key.last_used_at timestamp with time zone
agent_key.seq bigint not null identity
agent_spend.agent_id text not null
agent_spend.workspace_id text not null
agent_spend.tokens bigint not null default 0
agent_spend.cost_microdollars bigint not null default 0
api_key.id text not null
api_key.seq bigint not null identity
api_key.prefix text not null
api_key.hash text not null
api_key.name text not null
api_key.role text not null
api_key.scopes text[] not null
api_key.workspace_id text
api_key.created_by text not null
api_key.created_at timestamp with time zone not null default now()
api_key.expires_at timestamp with time zone
api_key.revoked_at timestamp with time zone
api_key.last_used_at timestamp with time zone
api_key.user_id text
approval.id text not null
approval.seq bigint not null identity
approval.workspace_id text not null
approval.asker_kind text not null
approval.asker_id text not null
approval.asker_epoch integer not null default 0
approval.prompt_id text
approval.title text not null
approval.payload text not null
approval.digest text not null
approval.risk text not null
approval.state text not null default 'open'::text
approval.code text not null
approval.quorum integer not null default 1
approval.requested_by text not null
approval.requested_at timestamp with time zone not null default now()
approval.remind_at timestamp with time zone
approval.escalate_at timestamp with time zone
approval.expires_at timestamp with time zone
approval.decided_at timestamp with time zone
approval.delivery jsonb
approval.context_id text
approval.role text
approval.gate jsonb
approval.template text
approval.recipients text[] not null default '{}'::text[]
approval_card.approval_id text not null
approval_card.connector_id text not null
approval_card.place text not null
approval_card.workspace_id text not null
approval_card.chat_id text not null
approval_card.thread_id text
approval_card.user_id text
approval_card.digest text not null
approval_card.nonce_hash text not null
approval_card.revision integer not null default 1
approval_card.pressed_by text
approval_card.press_key text
approval_card.created_at timestamp with time zone not null default now()
approval_card.closed_at timestamp with time zone
approval_request.approval_id text not null
approval_request.workspace_id text not null
approval_request.agent_id text
approval_request.kind text not null
approval_request.title text not null
approval_request.payload text not null
approval_request.risk text not null
approval_request.grants text[] not null
approval_request.created_at timestamp with time zone not null default now()
approval_request.requested_by text
approval_request.context_id text
approval_request.gate jsonb
approval_request.template text
approval_request.recipients text[] not null default '{}'::text[]
audit.workspace_id text not null
audit.seq bigint not null
audit.key text not null
audit.at timestamp with time zone not null
audit.actor_kind text not null
audit.actor_id text not null
audit.action text not null
audit.subject_id text not null
audit.canonical text not null
audit.prev_hash text not null
audit.hash text not null
certificate.id text not null
certificate.seq bigint not null identity
certificate.user_id text not null
certificate.serial text not null
certificate.fingerprint text not null
certificate.public_key_hash text not null
certificate.pem text not null
certificate.label text not null default ''::text
certificate.enrolment_id text
certificate.renews_id text
certificate.issued_at timestamp with time zone not null default now()
certificate.expires_at timestamp with time zone not null
certificate.revoked_at timestamp with time zone
certificate.revoked_by text
certificate.last_used_at timestamp with time zone
chat_message.id text not null
chat_message.seq bigint not null identity
chat_message.workspace_id text not null
chat_message.context_id text not null
chat_message.connector_id text not null
chat_message.direction text not null
chat_message.external_id text not null
chat_message.sender_id text not null
chat_message.sender_name text not null
chat_message.user_id text
chat_message.text text not null
chat_message.at timestamp with time zone not null
chat_message.edited_at timestamp with time zone
chat_spawn.request_id text not null
chat_spawn.workspace_id text not null
chat_spawn.connector_id text not null
chat_spawn.chat_id text not null
chat_spawn.thread_id text
chat_spawn.created_at timestamp with time zone not null default now()
chat_update.connector_id text not null
chat_update.key text not null
chat_update.seq bigint not null identity
chat_update.place text not null
chat_update.sealed bytea
chat_update.state text not null default 'received'::text
chat_update.attempts integer not null default 0
chat_update.not_before timestamp with time zone
chat_update.error text
chat_update.received_at timestamp with time zone not null default now()
chat_update.handled_at timestamp with time zone
checkpoint.agent_id text not null
checkpoint.epoch integer not null
checkpoint.turn integer not null
checkpoint.host_id text not null
checkpoint.ref text not null
checkpoint.bytes bigint not null
checkpoint.sha256 text not null
checkpoint.stored_at timestamp with time zone not null default now()
connector.id text not null
connector.seq bigint not null identity
connector.network text not null
connector.name text not null
connector.settings jsonb not null default '{}'::jsonb
connector.secret_ref text
connector.sealed_secret bytea
connector.revision integer not null default 1
connector.enabled boolean not null default true
connector.created_by text not null
connector.created_at timestamp with time zone not null default now()
connector.removed_at timestamp with time zone
connector.state text not null default 'stopped'::text
connector.state_detail text not null default ''::text
connector.state_since timestamp with time zone not null default now()
connector.bot_id text
connector.bot_name text
connector.webhook_secret bytea
connector_cursor.connector_id text not null
connector_cursor.name text not null
connector_cursor.position text not null
context.id text not null
context.seq bigint not null identity
context.workspace_id text not null
context.slug text not null
context.name text not null
context.kind text not null
context.connector_id text
context.chat_id text
context.thread_id text
context.settings jsonb not null default '{}'::jsonb
context.created_by text not null
context.created_at timestamp with time zone not null default now()
context.archived_at timestamp with time zone
cursor.name text not null
cursor.workspace_id text
cursor.seq bigint not null default 0
definition.id text not null
definition.seq bigint not null identity
definition.workspace_id text not null
definition.slug text not null
definition.version integer not null default 1
definition.created_by text not null
definition.created_at timestamp with time zone not null default now()
definition.archived_at timestamp with time zone
definition_version.definition_id text not null
definition_version.version integer not null
definition_version.content jsonb not null
definition_version.digest text not null
definition_version.note text
definition_version.created_by text not null
definition_version.created_at timestamp with time zone not null default now()
direct_chat.connector_id text not null
direct_chat.subject text not null
direct_chat.chat_id text not null
direct_chat.wants_approvals boolean not null default false
document.id text not null
document.seq bigint not null identity
document.workspace_id text not null
document.path text not null
document.path_folded text not null
document.size_bytes bigint not null
document.etag text not null
document.written_by_kind text not null
document.written_by text not null
document.created_at timestamp with time zone not null default now()
document.written_at timestamp with time zone not null default now()
enrolment_failure.seq bigint not null identity
enrolment_failure.address text not null
enrolment_failure.at timestamp with time zone not null default now()
enrolment_secret.id text not null
enrolment_secret.seq bigint not null identity
enrolment_secret.lookup text not null
enrolment_secret.hash text not null
enrolment_secret.user_id text
enrolment_secret.user_name text
enrolment_secret.created_by text not null
enrolment_secret.created_at timestamp with time zone not null default now()
enrolment_secret.expires_at timestamp with time zone not null
enrolment_secret.wrong_tries integer not null default 0
enrolment_secret.voided_at timestamp with time zone
enrolment_secret.used_at timestamp with time zone
event.workspace_id text not null
event.seq bigint not null
event.key text not null
event.type text not null
event.version integer not null default 1
event.subject_id text not null
event.data jsonb not null
event.at timestamp with time zone not null default now()
event.purge_after timestamp with time zone
fact.agent_id text not null
fact.epoch integer not null
fact.seq bigint not null
fact.host_seq bigint not null
fact.kind text not null
fact.data jsonb not null
fact.at timestamp with time zone not null
host.id text not null
host.epoch bigint not null
host.version text not null
host.slots_max integer not null
host.memory_bytes bigint not null
host.isolated boolean not null
host.lease_until timestamp with time zone not null
host.connected_at timestamp with time zone not null default now()
host.last_heartbeat_at timestamp with time zone not null default now()
host.error text
host.kind text not null default 'local'::text
host.workspace_id text
host.labels jsonb not null default '{}'::jsonb
host.region text
host.slots_used integer not null default 0
host.memory_free_bytes bigint
host.public_key text
host.enrolled_by text
host.enrolled_at timestamp with time zone
host.revoked_at timestamp with time zone
host.link_address text
host.link_generation bigint not null default 0
host.linked_at timestamp with time zone
host.unlinked_at timestamp with time zone
host.draining boolean not null default false
host.closing boolean not null default false
host_join.id text not null
host_join.hash text not null
host_join.kind text not null
host_join.workspace_id text
host_join.name text
host_join.labels jsonb not null
host_join.region text
host_join.created_by text not null
host_join.created_at timestamp with time zone not null default now()
host_join.expires_at timestamp with time zone not null
host_join.used_at timestamp with time zone
host_join.used_by text
hosting.workspace_id text not null
hosting.mode text not null
hosting.endpoint text
hosting.auth_type text not null
hosting.credential_ref text
hosting.region text
hosting.selector jsonb not null
hosting.revision integer not null
hosting.updated_by text not null
hosting.updated_at timestamp with time zone not null default now()
idempotency.workspace_id text not null
idempotency.principal_id text not null
idempotency.route text not null
idempotency.key text not null
idempotency.request_digest text not null
idempotency.status integer
idempotency.body jsonb
idempotency.created_at timestamp with time zone not null default now()
idempotency.purge_after timestamp with time zone not null
identity.id text not null
identity.seq bigint not null identity
identity.user_id text not null
identity.kind text not null
identity.issuer text not null default ''::text
identity.subject text not null
identity.display_name text not null default ''::text
identity.linked_by text not null
identity.linked_at timestamp with time zone not null default now()
identity.unlinked_at timestamp with time zone
input.id text not null
input.seq bigint not null identity
input.agent_id text not null
input.epoch integer
input.kind text not null
input.sealed bytea
input.state text not null default 'queued'::text
input.created_by text not null
input.created_at timestamp with time zone not null default now()
input.delivered_at timestamp with time zone
input.outcome jsonb
listener_lease.name text not null
listener_lease.holder text not null
listener_lease.fence bigint not null
listener_lease.lease_until timestamp with time zone not null
login.agent_id text not null
login.epoch integer not null
login.method text not null
login.sealed bytea
login.needs_paste boolean not null
login.expires_at timestamp with time zone
login.opened_at timestamp with time zone not null default now()
login.closed_at timestamp with time zone
markdown_log.context_id text not null
markdown_log.connector_id text not null
markdown_log.workspace_id text not null
markdown_log.path text not null
markdown_log.seq bigint not null
memory_note.id text not null
memory_note.seq bigint not null identity
memory_note.workspace_id text not null
memory_note.agent_id text not null
memory_note.scope text not null
memory_note.text text not null
memory_note.created_at timestamp with time zone not null default now()
message.id text not null
message.seq bigint not null identity
message.workspace_id text not null
message.agent_id text not null
message.kind text not null
message.text text not null
message.state text not null
message.answer text
message.answered_by text
message.created_at timestamp with time zone not null default now()
message.answered_at timestamp with time zone
model_call.id text not null
model_call.seq bigint not null identity
model_call.workspace_id text not null
model_call.agent_id text not null
model_call.epoch integer not null
model_call.key_id text not null
model_call.protocol text not null
model_call.operation text not null
model_call.asked_model text not null
model_call.provider text not null
model_call.model text not null
model_call.state text not null default 'running'::text
model_call.status integer
model_call.streamed boolean not null
model_call.attempts integer not null default 0
model_call.flags text[] not null default '{}'::text[]
model_call.request_bytes bigint not null
model_call.response_bytes bigint not null default 0
model_call.events bigint not null default 0
model_call.input_tokens bigint not null default 0
model_call.output_tokens bigint not null default 0
model_call.cache_read_tokens bigint not null default 0
model_call.cache_write_tokens bigint not null default 0
model_call.long_cache_write_tokens bigint not null default 0
model_call.reasoning_tokens bigint not null default 0
model_call.cost_microdollars bigint not null default 0
model_call.reserved_tokens bigint not null default 0
model_call.reserved_microdollars bigint not null default 0
model_call.first_byte_ms integer
model_call.total_ms integer
model_call.started_at timestamp with time zone not null default now()
model_call.seen_at timestamp with time zone not null default now()
model_call.ended_at timestamp with time zone
oidc_sync.identity_id text not null
oidc_sync.issued_at_s bigint not null
oidc_sync.synced_at timestamp with time zone not null default now()
pairing.id text not null
pairing.seq bigint not null identity
pairing.connector_id text not null
pairing.subject text not null
pairing.display_name text not null
pairing.token_hash text not null
pairing.state text not null default 'pending'::text
pairing.created_at timestamp with time zone not null default now()
pairing.expires_at timestamp with time zone not null
pairing.user_id text
pairing.decided_by text
pairing.decided_at timestamp with time zone
pairing_guard.who text not null
pairing_guard.failures integer not null
pairing_guard.since timestamp with time zone not null
pairing_guard.locked_until timestamp with time zone
panel_link.token_hash text not null
panel_link.key_id text not null
panel_link.created_at timestamp with time zone not null default now()
panel_link.expires_at timestamp with time zone not null
panel_link.used_at timestamp with time zone
panel_session.token_hash text not null
panel_session.key_id text not null
panel_session.created_at timestamp with time zone not null default now()
panel_session.expires_at timestamp with time zone not null
policy.id text not null
policy.seq bigint not null identity
policy.workspace_id text not null
policy.version integer not null
policy.engine text not null
policy.text text not null
policy.rules jsonb not null default '[]'::jsonb
policy.digest text not null
policy.note text not null default ''::text
policy.created_by text not null
policy.created_at timestamp with time zone not null default now()
policy_request.seq bigint not null identity
policy_request.workspace_id text not null
policy_request.at timestamp with time zone not null default now()
policy_request.request jsonb not null
policy_request.has_text boolean not null
policy_request.verdict text not null
policy_request.rule text not null
policy_request.version integer not null
post.id text not null
post.seq bigint not null identity
post.connector_id text not null
post.workspace_id text
post.key text not null
post.kind text not null
post.place text not null
post.edits_key text
post.sealed bytea
post.state text not null default 'queued'::text
post.attempts integer not null default 0
post.not_before timestamp with time zone
post.message_id text
post.error text
post.created_at timestamp with time zone not null default now()
post.sent_at timestamp with time zone
post.begun_at timestamp with time zone
prompt.id text not null
prompt.agent_id text not null
prompt.epoch integer not null
prompt.kind text not null
prompt.text text not null
prompt.subject text not null
prompt.options jsonb not null
prompt.source text not null
prompt.hook_payload text not null
prompt.cli_session_id text
prompt.turn integer not null
prompt.payload_complete boolean not null
prompt.digest text not null
prompt.opened_at timestamp with time zone not null default now()
prompt.closed_at timestamp with time zone
prompt.how text
prompt.approval_id text
role_binding.id text not null
role_binding.seq bigint not null identity
role_binding.user_id text not null
role_binding.role text not null
role_binding.place text not null
role_binding.workspace_id text
role_binding.context_id text
role_binding.thing text
role_binding.created_by text not null
role_binding.created_at timestamp with time zone not null default now()
role_binding.revoked_at timestamp with time zone
slot.id text not null
slot.seq bigint not null identity
slot.pool text not null
slot.holder_id text not null
slot.fence bigint not null default 0
slot.state text not null default 'queued'::text
slot.requested_at timestamp with time zone not null default now()
slot.granted_at timestamp with time zone
slot.lease_until timestamp with time zone
slot.released_at timestamp with time zone
slot_pool.pool text not null
slot_pool.cap integer not null
slot_pool.fence bigint not null default 0
spawn.id text not null
spawn.seq bigint not null identity
spawn.workspace_id text not null
spawn.request_id text not null
spawn.request_digest text not null
spawn.count integer not null
spawn.spec jsonb not null
spawn.created_by text not null
spawn.created_at timestamp with time zone not null default now()
spawn.state text not null default 'requested'::text
spawn.context_id text
spawn.approval_id text
standing_approval.id text not null
standing_approval.seq bigint not null identity
standing_approval.workspace_id text not null
standing_approval.approval_id text not null
standing_approval.title text not null
standing_approval.template text not null
standing_approval.template_hash text not null
standing_approval.recipients text[] not null default '{}'::text[]
standing_approval.risk text not null
standing_approval.created_by text not null
standing_approval.created_at timestamp with time zone not null default now()
standing_approval.expires_at timestamp with time zone not null
standing_approval.activated_at timestamp with time zone
standing_approval.revoked_at timestamp with time zone
standing_approval.revoked_by text
standing_approval.uses integer not null default 0
standing_approval.last_used_at timestamp with time zone
usage.workspace_id text not null
usage.agent_id text not null
usage.day date not null
usage.kind text not null
usage.key text not null
usage.quantity bigint not null
usage.model text
user_account.id text not null
user_account.seq bigint not null identity
user_account.name text not null
user_account.created_by text not null
user_account.created_at timestamp with time zone not null default now()
user_account.disabled_at timestamp with time zone
vote.approval_id text not null
vote.principal_id text not null
vote.principal_kind text not null
vote.verdict text not null
vote.option_label text
vote.digest text not null
vote.nonce text not null
vote.at timestamp with time zone not null
vote.note text
vote.mac text not null
vote.standing_id text
webhook.id text not null
webhook.seq bigint not null identity
webhook.workspace_id text not null
webhook.direction text not null
webhook.url text
webhook.format text not null default 'event'::text
webhook.types text[] not null
webhook.description text not null
webhook.enabled boolean not null default true
webhook.disabled_reason text
webhook.secret bytea not null
webhook.old_secret bytea
webhook.old_secret_until timestamp with time zone
webhook.secret_request text not null
webhook.revision integer not null default 0
webhook.generation integer not null default 0
webhook.failures integer not null default 0
webhook.failing_since timestamp with time zone
webhook.next_attempt_at timestamp with time zone
webhook.created_by text not null
webhook.created_at timestamp with time zone not null default now()
webhook_delivery.webhook_id text not null
webhook_delivery.event_seq bigint not null
webhook_delivery.event_type text not null
webhook_delivery.state text not null
webhook_delivery.attempts integer not null default 0
webhook_delivery.first_attempt_at timestamp with time zone
webhook_delivery.last_attempt_at timestamp with time zone
webhook_delivery.delivered_at timestamp with time zone
webhook_delivery.status integer
webhook_delivery.error text
webhook_delivery.duration_ms integer
webhook_delivery.updated_at timestamp with time zone not null default now()
webhook_receipt.webhook_id text not null
webhook_receipt.message_id text not null
webhook_receipt.digest text not null
webhook_receipt.subject text not null
webhook_receipt.sent_at timestamp with time zone not null
webhook_receipt.received_at timestamp with time zone not null default now()
webhook_receipt.purge_after timestamp with time zone not null
workspace.id text not null
workspace.seq bigint not null identity
workspace.slug text not null
workspace.name text not null
workspace.created_at timestamp with time zone not null default now()
workspace.kind text not null default 'community'::text
workspace.owner_user_id text
workspace.settings jsonb not null default '{}'::jsonb
workspace_counter.workspace_id text not null
workspace_counter.event_seq bigint not null default 0
workspace_counter.audit_seq bigint not null default 0
workspace_counter.audit_head text not null default repeat('0'::text, 64)
workspace_limit.workspace_id text not null
workspace_limit.limits jsonb not null
workspace_limit.updated_by text not null
workspace_limit.updated_at timestamp with time zone not null default now()
workspace_spend.workspace_id text not null
workspace_spend.day date not null
workspace_spend.tokens bigint not null default 0
workspace_spend.cost_microdollars bigint not null default 0
active_policy_pkey: PRIMARY KEY (workspace_id)
active_policy_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
active_policy_workspace_id_policy_id_fkey: FOREIGN KEY (workspace_id, policy_id) REFERENCES policy(workspace_id, id)
agent_pkey: PRIMARY KEY (id)
agent_spawn_id_fkey: FOREIGN KEY (spawn_id) REFERENCES spawn(id)
agent_context_id_fkey: FOREIGN KEY (context_id) REFERENCES context(id)
agent_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
agent_definition_id_fkey: FOREIGN KEY (definition_id) REFERENCES definition(id)
agent_spawn_id_ordinal_key: UNIQUE (spawn_id, ordinal)
agent_grant_pkey: PRIMARY KEY (agent_id, permission)
agent_grant_agent_id_fkey: FOREIGN KEY (agent_id) REFERENCES agent(id)
agent_grant_approval_id_fkey: FOREIGN KEY (approval_id) REFERENCES approval(id)
agent_key_pkey: PRIMARY KEY (id)
agent_key_seq_key: UNIQUE (seq)
agent_key_use_check: CHECK ((use = ANY (ARRAY['mcp'::text, 'gateway'::text])))
agent_key_prefix_key: UNIQUE (prefix)
agent_key_agent_id_fkey: FOREIGN KEY (agent_id) REFERENCES agent(id)
agent_key_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
agent_spend_pkey: PRIMARY KEY (agent_id)
api_key_pkey: PRIMARY KEY (id)
api_key_prefix_key: UNIQUE (prefix)
api_key_user_id_fkey: FOREIGN KEY (user_id) REFERENCES user_account(id)
api_key_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
approval_pkey: PRIMARY KEY (id)
approval_risk_check: CHECK ((risk = ANY (ARRAY['low'::text, 'medium'::text, 'high'::text])))
approval_role_check: CHECK ((role = ANY (ARRAY['overlord'::text, 'admin'::text, 'operator'::text])))
approval_state_check: CHECK ((state = ANY (ARRAY['open'::text, 'granted'::text, 'refused'::text, 'expired'::text, 'voided'::text])))
approval_quorum_check: CHECK ((quorum > 0))
approval_context_id_fkey: FOREIGN KEY (context_id) REFERENCES context(id)
approval_asker_kind_check: CHECK ((asker_kind = ANY (ARRAY['agent'::text, 'system'::text])))
approval_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
approval_card_pkey: PRIMARY KEY (approval_id, connector_id, place)
approval_card_user_id_fkey: FOREIGN KEY (user_id) REFERENCES user_account(id)
approval_card_approval_id_fkey: FOREIGN KEY (approval_id) REFERENCES approval(id) ON DELETE CASCADE
approval_card_connector_id_fkey: FOREIGN KEY (connector_id) REFERENCES connector(id)
approval_card_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
approval_request_pkey: PRIMARY KEY (approval_id)
approval_request_check: CHECK (((kind = 'spawn'::text) = (agent_id IS NULL)))
approval_request_check1: CHECK (((agent_id IS NULL) = (requested_by IS NOT NULL)))
approval_request_kind_check: CHECK ((kind = ANY (ARRAY['request'::text, 'grant'::text, 'post'::text, 'spawn'::text])))
approval_request_agent_id_fkey: FOREIGN KEY (agent_id) REFERENCES agent(id)
approval_request_context_id_fkey: FOREIGN KEY (context_id) REFERENCES context(id)
approval_request_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
audit_pkey: PRIMARY KEY (workspace_id, seq)
audit_workspace_id_key_key: UNIQUE (workspace_id, key)
certificate_pkey: PRIMARY KEY (id)
certificate_check: CHECK (((enrolment_id IS NULL) OR (renews_id IS NULL)))
certificate_seq_key: UNIQUE (seq)
certificate_serial_key: UNIQUE (serial)
certificate_user_id_fkey: FOREIGN KEY (user_id) REFERENCES user_account(id)
certificate_renews_id_fkey: FOREIGN KEY (renews_id) REFERENCES certificate(id)
certificate_fingerprint_key: UNIQUE (fingerprint)
certificate_enrolment_id_fkey: FOREIGN KEY (enrolment_id) REFERENCES enrolment_secret(id)
chat_message_pkey: PRIMARY KEY (id)
chat_message_seq_key: UNIQUE (seq)
chat_message_user_id_fkey: FOREIGN KEY (user_id) REFERENCES user_account(id)
chat_message_context_id_fkey: FOREIGN KEY (context_id) REFERENCES context(id)
chat_message_direction_check: CHECK ((direction = ANY (ARRAY['in'::text, 'out'::text])))
chat_message_connector_id_fkey: FOREIGN KEY (connector_id) REFERENCES connector(id)
chat_message_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
chat_message_connector_id_context_id_external_id_key: UNIQUE (connector_id, context_id, external_id)
chat_spawn_pkey: PRIMARY KEY (request_id)
chat_spawn_connector_id_fkey: FOREIGN KEY (connector_id) REFERENCES connector(id)
chat_spawn_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
chat_update_pkey: PRIMARY KEY (connector_id, key)
chat_update_seq_key: UNIQUE (seq)
chat_update_state_check: CHECK ((state = ANY (ARRAY['received'::text, 'handled'::text, 'failed'::text])))
chat_update_connector_id_fkey: FOREIGN KEY (connector_id) REFERENCES connector(id)
checkpoint_pkey: PRIMARY KEY (agent_id, epoch, turn)
checkpoint_agent_id_fkey: FOREIGN KEY (agent_id) REFERENCES agent(id)
connector_pkey: PRIMARY KEY (id)
connector_check: CHECK (((secret_ref IS NULL) OR (sealed_secret IS NULL)))
connector_seq_key: UNIQUE (seq)
connector_network_check: CHECK ((network = ANY (ARRAY['telegram'::text, 'discord'::text])))
connector_cursor_pkey: PRIMARY KEY (connector_id, name)
connector_cursor_connector_id_fkey: FOREIGN KEY (connector_id) REFERENCES connector(id)
context_pkey: PRIMARY KEY (id)
context_check: CHECK (((connector_id IS NULL) = (chat_id IS NULL)))
context_check1: CHECK (((thread_id IS NULL) OR (chat_id IS NOT NULL)))
context_seq_key: UNIQUE (seq)
context_kind_check: CHECK ((kind = ANY (ARRAY['channel'::text, 'thread'::text, 'group'::text, 'dm'::text, 'admin_hub'::text, 'plain'::text])))
context_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
cursor_pkey: PRIMARY KEY (name)
cursor_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
definition_pkey: PRIMARY KEY (id)
definition_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
definition_version_pkey: PRIMARY KEY (definition_id, version)
definition_version_definition_id_fkey: FOREIGN KEY (definition_id) REFERENCES definition(id)
direct_chat_pkey: PRIMARY KEY (connector_id, subject)
direct_chat_connector_id_fkey: FOREIGN KEY (connector_id) REFERENCES connector(id)
document_pkey: PRIMARY KEY (id)
document_seq_key: UNIQUE (seq)
document_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
document_workspace_id_path_key: UNIQUE (workspace_id, path)
document_workspace_id_path_folded_key: UNIQUE (workspace_id, path_folded)
enrolment_failure_pkey: PRIMARY KEY (seq)
enrolment_secret_pkey: PRIMARY KEY (id)
enrolment_secret_check: CHECK (((user_id IS NULL) <> (user_name IS NULL)))
enrolment_secret_seq_key: UNIQUE (seq)
enrolment_secret_lookup_key: UNIQUE (lookup)
enrolment_secret_user_id_fkey: FOREIGN KEY (user_id) REFERENCES user_account(id)
event_pkey: PRIMARY KEY (workspace_id, seq)
event_workspace_id_key_key: UNIQUE (workspace_id, key)
fact_pkey: PRIMARY KEY (agent_id, epoch, seq)
host_pkey: PRIMARY KEY (id)
host_kind_check: CHECK ((kind = ANY (ARRAY['local'::text, 'cloud'::text, 'custom'::text])))
host_public_key_key: UNIQUE (public_key)
host_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
host_join_pkey: PRIMARY KEY (id)
host_join_kind_check: CHECK ((kind = ANY (ARRAY['cloud'::text, 'custom'::text])))
host_join_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
hosting_pkey: PRIMARY KEY (workspace_id)
hosting_mode_check: CHECK ((mode = ANY (ARRAY['local'::text, 'cloud'::text, 'custom'::text])))
hosting_auth_type_check: CHECK ((auth_type = ANY (ARRAY['none'::text, 'token'::text, 'mtls'::text])))
hosting_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
idempotency_pkey: PRIMARY KEY (workspace_id, principal_id, route, key)
identity_pkey: PRIMARY KEY (id)
identity_seq_key: UNIQUE (seq)
identity_kind_check: CHECK ((kind = ANY (ARRAY['oidc'::text, 'certificate'::text, 'telegram'::text, 'discord'::text])))
identity_user_id_fkey: FOREIGN KEY (user_id) REFERENCES user_account(id)
input_pkey: PRIMARY KEY (id)
input_check: CHECK (((state = 'queued'::text) OR (sealed IS NULL)))
input_state_check: CHECK ((state = ANY (ARRAY['queued'::text, 'delivered'::text, 'refused'::text, 'stale'::text])))
input_agent_id_fkey: FOREIGN KEY (agent_id) REFERENCES agent(id)
listener_lease_pkey: PRIMARY KEY (name)
login_pkey: PRIMARY KEY (agent_id, epoch)
login_check: CHECK (((closed_at IS NULL) OR (sealed IS NULL)))
login_agent_id_fkey: FOREIGN KEY (agent_id) REFERENCES agent(id)
markdown_log_pkey: PRIMARY KEY (context_id, connector_id)
markdown_log_context_id_fkey: FOREIGN KEY (context_id) REFERENCES context(id)
markdown_log_connector_id_fkey: FOREIGN KEY (connector_id) REFERENCES connector(id)
markdown_log_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
memory_note_pkey: PRIMARY KEY (id)
memory_note_seq_key: UNIQUE (seq)
memory_note_scope_check: CHECK ((scope = ANY (ARRAY['agent'::text, 'workspace'::text])))
memory_note_agent_id_fkey: FOREIGN KEY (agent_id) REFERENCES agent(id)
memory_note_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
message_pkey: PRIMARY KEY (id)
message_seq_key: UNIQUE (seq)
message_kind_check: CHECK ((kind = ANY (ARRAY['message'::text, 'question'::text])))
message_state_check: CHECK ((state = ANY (ARRAY['sent'::text, 'open'::text, 'answered'::text, 'closed'::text])))
message_agent_id_fkey: FOREIGN KEY (agent_id) REFERENCES agent(id)
message_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
model_call_pkey: PRIMARY KEY (id)
model_call_agent_id_fkey: FOREIGN KEY (agent_id) REFERENCES agent(id)
model_call_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
oidc_sync_pkey: PRIMARY KEY (identity_id)
oidc_sync_identity_id_fkey: FOREIGN KEY (identity_id) REFERENCES identity(id)
pairing_pkey: PRIMARY KEY (id)
pairing_seq_key: UNIQUE (seq)
pairing_state_check: CHECK ((state = ANY (ARRAY['pending'::text, 'shown'::text, 'linked'::text, 'refused'::text, 'expired'::text])))
pairing_user_id_fkey: FOREIGN KEY (user_id) REFERENCES user_account(id)
pairing_connector_id_fkey: FOREIGN KEY (connector_id) REFERENCES connector(id)
pairing_guard_pkey: PRIMARY KEY (who)
panel_link_pkey: PRIMARY KEY (token_hash)
panel_link_key_id_fkey: FOREIGN KEY (key_id) REFERENCES api_key(id)
panel_session_pkey: PRIMARY KEY (token_hash)
panel_session_key_id_fkey: FOREIGN KEY (key_id) REFERENCES api_key(id)
policy_pkey: PRIMARY KEY (id)
policy_seq_key: UNIQUE (seq)
policy_engine_check: CHECK ((engine = ANY (ARRAY['built-in'::text, 'cedar'::text, 'opa'::text])))
policy_version_check: CHECK ((version > 0))
policy_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
policy_workspace_id_id_key: UNIQUE (workspace_id, id)
policy_workspace_id_version_key: UNIQUE (workspace_id, version)
policy_request_pkey: PRIMARY KEY (seq)
policy_request_verdict_check: CHECK ((verdict = ANY (ARRAY['allow'::text, 'deny'::text, 'ask'::text])))
policy_request_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
post_pkey: PRIMARY KEY (id)
post_check: CHECK (((kind = 'edit'::text) = (edits_key IS NOT NULL)))
post_key_key: UNIQUE (key)
post_seq_key: UNIQUE (seq)
post_kind_check: CHECK ((kind = ANY (ARRAY['send'::text, 'edit'::text])))
post_state_check: CHECK ((state = ANY (ARRAY['queued'::text, 'sending'::text, 'sent'::text, 'uncertain'::text, 'failed'::text])))
post_connector_id_fkey: FOREIGN KEY (connector_id) REFERENCES connector(id)
post_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
prompt_pkey: PRIMARY KEY (id)
prompt_agent_id_fkey: FOREIGN KEY (agent_id) REFERENCES agent(id)
role_binding_pkey: PRIMARY KEY (id)
role_binding_check: CHECK (((place = 'installation'::text) = (workspace_id IS NULL)))
role_binding_check1: CHECK (((place = 'context'::text) = (context_id IS NOT NULL)))
role_binding_check2: CHECK (((place = ANY (ARRAY['installation'::text, 'workspace'::text, 'context'::text])) = (thing IS NULL)))
role_binding_seq_key: UNIQUE (seq)
role_binding_role_check: CHECK ((role = ANY (ARRAY['overlord'::text, 'admin'::text, 'operator'::text, 'member'::text, 'viewer'::text])))
role_binding_place_check: CHECK ((place = ANY (ARRAY['installation'::text, 'workspace'::text, 'context'::text, 'skill'::text, 'tool'::text, 'command'::text, 'model'::text, 'mailbox'::text])))
role_binding_user_id_fkey: FOREIGN KEY (user_id) REFERENCES user_account(id)
role_binding_context_id_fkey: FOREIGN KEY (context_id) REFERENCES context(id)
role_binding_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
slot_pkey: PRIMARY KEY (id)
slot_pool_fkey: FOREIGN KEY (pool) REFERENCES slot_pool(pool)
slot_state_check: CHECK ((state = ANY (ARRAY['queued'::text, 'granted'::text, 'released'::text])))
slot_pool_pkey: PRIMARY KEY (pool)
spawn_pkey: PRIMARY KEY (id)
spawn_check: CHECK (((state <> 'asked'::text) OR (approval_id IS NOT NULL)))
spawn_count_check: CHECK ((count > 0))
spawn_state_check: CHECK ((state = ANY (ARRAY['asked'::text, 'refused'::text, 'requested'::text, 'running'::text, 'finished'::text, 'cancelled'::text, 'failed'::text])))
spawn_context_id_fkey: FOREIGN KEY (context_id) REFERENCES context(id)
spawn_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
spawn_workspace_id_request_id_key: UNIQUE (workspace_id, request_id)
standing_approval_pkey: PRIMARY KEY (id)
standing_approval_seq_key: UNIQUE (seq)
standing_approval_risk_check: CHECK ((risk = ANY (ARRAY['low'::text, 'medium'::text, 'high'::text])))
standing_approval_approval_id_fkey: FOREIGN KEY (approval_id) REFERENCES approval(id)
standing_approval_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
usage_pkey: PRIMARY KEY (workspace_id, key)
user_account_pkey: PRIMARY KEY (id)
user_account_seq_key: UNIQUE (seq)
vote_pkey: PRIMARY KEY (approval_id, principal_id)
vote_nonce_key: UNIQUE (nonce)
vote_verdict_check: CHECK ((verdict = ANY (ARRAY['grant'::text, 'refuse'::text])))
vote_approval_id_fkey: FOREIGN KEY (approval_id) REFERENCES approval(id)
webhook_pkey: PRIMARY KEY (id)
webhook_check: CHECK (((direction = 'outbound'::text) = (url IS NOT NULL)))
webhook_check1: CHECK ((enabled = (disabled_reason IS NULL)))
webhook_check2: CHECK (((old_secret IS NULL) = (old_secret_until IS NULL)))
webhook_format_check: CHECK ((format = ANY (ARRAY['event'::text, 'spawn-callback'::text])))
webhook_direction_check: CHECK ((direction = ANY (ARRAY['outbound'::text, 'inbound'::text])))
webhook_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
webhook_delivery_pkey: PRIMARY KEY (webhook_id, event_seq)
webhook_delivery_state_check: CHECK ((state = ANY (ARRAY['sending'::text, 'waiting'::text, 'delivered'::text, 'dead'::text])))
webhook_receipt_pkey: PRIMARY KEY (webhook_id, message_id)
workspace_pkey: PRIMARY KEY (id)
workspace_slug_key: UNIQUE (slug)
workspace_kind_check: CHECK ((kind = ANY (ARRAY['community'::text, 'private'::text])))
workspace_owner_user_id_fkey: FOREIGN KEY (owner_user_id) REFERENCES user_account(id)
workspace_counter_pkey: PRIMARY KEY (workspace_id)
workspace_counter_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
workspace_limit_pkey: PRIMARY KEY (workspace_id)
workspace_limit_workspace_id_fkey: FOREIGN KEY (workspace_id) REFERENCES workspace(id)
workspace_spend_pkey: PRIMARY KEY (workspace_id, day)
CREATE UNIQUE INDEX active_policy_pkey ON public.active_policy USING btree (workspace_id)
CREATE INDEX agent_host ON public.agent USING btree (host_id) WHERE (ended_at IS NULL)
CREATE INDEX agent_list ON public.agent USING btree (workspace_id, seq)
CREATE UNIQUE INDEX agent_pkey ON public.agent USING btree (id)
CREATE INDEX agent_lease ON public.agent USING btree (lease_until) WHERE ((ended_at IS NULL) AND (lease_until IS NOT NULL))
CREATE UNIQUE INDEX agent_spawn_id_ordinal_key ON public.agent USING btree (spawn_id, ordinal)
CREATE UNIQUE INDEX agent_grant_pkey ON public.agent_grant USING btree (agent_id, permission)
CREATE UNIQUE INDEX agent_key_pkey ON public.agent_key USING btree (id)
CREATE INDEX agent_key_agent ON public.agent_key USING btree (agent_id, epoch) WHERE (revoked_at IS NULL)
CREATE UNIQUE INDEX agent_key_seq_key ON public.agent_key USING btree (seq)
CREATE UNIQUE INDEX agent_key_prefix_key ON public.agent_key USING btree (prefix)
CREATE UNIQUE INDEX agent_spend_pkey ON public.agent_spend USING btree (agent_id)
CREATE UNIQUE INDEX api_key_pkey ON public.api_key USING btree (id)
CREATE INDEX api_key_user ON public.api_key USING btree (user_id) WHERE (user_id IS NOT NULL)
CREATE UNIQUE INDEX api_key_prefix_key ON public.api_key USING btree (prefix)
CREATE UNIQUE INDEX approval_code ON public.approval USING btree (code) WHERE (state = 'open'::text)
CREATE INDEX approval_list ON public.approval USING btree (workspace_id, seq)
CREATE UNIQUE INDEX approval_pkey ON public.approval USING btree (id)
CREATE INDEX approval_asker ON public.approval USING btree (asker_id) WHERE (state = 'open'::text)
CREATE UNIQUE INDEX approval_card_pkey ON public.approval_card USING btree (approval_id, connector_id, place)
CREATE UNIQUE INDEX approval_request_pkey ON public.approval_request USING btree (approval_id)
CREATE INDEX approval_request_agent ON public.approval_request USING btree (agent_id)
CREATE UNIQUE INDEX audit_pkey ON public.audit USING btree (workspace_id, seq)
CREATE INDEX audit_subject ON public.audit USING btree (workspace_id, subject_id, seq)
CREATE UNIQUE INDEX audit_workspace_id_key_key ON public.audit USING btree (workspace_id, key)
CREATE UNIQUE INDEX certificate_pkey ON public.certificate USING btree (id)
CREATE INDEX certificate_user ON public.certificate USING btree (user_id)
CREATE UNIQUE INDEX certificate_renewal ON public.certificate USING btree (renews_id, public_key_hash) WHERE (renews_id IS NOT NULL)
CREATE UNIQUE INDEX certificate_seq_key ON public.certificate USING btree (seq)
CREATE UNIQUE INDEX certificate_enrolment ON public.certificate USING btree (enrolment_id) WHERE (enrolment_id IS NOT NULL)
CREATE UNIQUE INDEX certificate_serial_key ON public.certificate USING btree (serial)
CREATE UNIQUE INDEX certificate_fingerprint_key ON public.certificate USING btree (fingerprint)
CREATE UNIQUE INDEX chat_message_pkey ON public.chat_message USING btree (id)
CREATE INDEX chat_message_context ON public.chat_message USING btree (context_id, seq)
CREATE UNIQUE INDEX chat_message_seq_key ON public.chat_message USING btree (seq)
CREATE UNIQUE INDEX chat_message_connector_id_context_id_external_id_key ON public.chat_message USING btree (connector_id, context_id, external_id)
CREATE UNIQUE INDEX chat_spawn_pkey ON public.chat_spawn USING btree (request_id)
CREATE INDEX chat_spawn_created_at ON public.chat_spawn USING btree (created_at)
CREATE INDEX chat_update_due ON public.chat_update USING btree (connector_id, seq) WHERE (state = 'received'::text)
CREATE UNIQUE INDEX chat_update_pkey ON public.chat_update USING btree (connector_id, key)
CREATE INDEX chat_update_purge ON public.chat_update USING btree (handled_at) WHERE (state <> 'received'::text)
CREATE INDEX chat_update_queue ON public.chat_update USING btree (connector_id, place, seq) WHERE (state = 'received'::text)
CREATE INDEX chat_update_failed ON public.chat_update USING btree (connector_id, seq) WHERE (state = 'failed'::text)
CREATE UNIQUE INDEX chat_update_seq_key ON public.chat_update USING btree (seq)
CREATE INDEX chat_update_waiting ON public.chat_update USING btree (connector_id, place) WHERE ((state = 'received'::text) AND (not_before IS NOT NULL))
CREATE UNIQUE INDEX checkpoint_pkey ON public.checkpoint USING btree (agent_id, epoch, turn)
CREATE UNIQUE INDEX connector_name ON public.connector USING btree (name) WHERE (removed_at IS NULL)
CREATE UNIQUE INDEX connector_pkey ON public.connector USING btree (id)
CREATE UNIQUE INDEX connector_seq_key ON public.connector USING btree (seq)
CREATE UNIQUE INDEX connector_cursor_pkey ON public.connector_cursor USING btree (connector_id, name)
CREATE UNIQUE INDEX context_hub ON public.context USING btree (workspace_id, connector_id) WHERE ((archived_at IS NULL) AND (kind = 'admin_hub'::text))
CREATE UNIQUE INDEX context_chat ON public.context USING btree (connector_id, chat_id, COALESCE(thread_id, ''::text)) WHERE ((archived_at IS NULL) AND (connector_id IS NOT NULL))
CREATE UNIQUE INDEX context_pkey ON public.context USING btree (id)
CREATE UNIQUE INDEX context_slug ON public.context USING btree (workspace_id, slug) WHERE (archived_at IS NULL)
CREATE UNIQUE INDEX context_seq_key ON public.context USING btree (seq)
CREATE UNIQUE INDEX cursor_pkey ON public.cursor USING btree (name)
CREATE INDEX definition_list ON public.definition USING btree (workspace_id, seq)
CREATE UNIQUE INDEX definition_pkey ON public.definition USING btree (id)
CREATE UNIQUE INDEX definition_slug ON public.definition USING btree (workspace_id, slug) WHERE (archived_at IS NULL)
CREATE UNIQUE INDEX definition_version_pkey ON public.definition_version USING btree (definition_id, version)
CREATE UNIQUE INDEX direct_chat_pkey ON public.direct_chat USING btree (connector_id, subject)
CREATE UNIQUE INDEX document_pkey ON public.document USING btree (id)
CREATE UNIQUE INDEX document_seq_key ON public.document USING btree (seq)
CREATE UNIQUE INDEX document_workspace_id_path_key ON public.document USING btree (workspace_id, path)
CREATE UNIQUE INDEX document_workspace_id_path_folded_key ON public.document USING btree (workspace_id, path_folded)
CREATE INDEX enrolment_failure_at ON public.enrolment_failure USING btree (at)
CREATE UNIQUE INDEX enrolment_failure_pkey ON public.enrolment_failure USING btree (seq)
CREATE INDEX enrolment_failure_address ON public.enrolment_failure USING btree (address, at)
CREATE UNIQUE INDEX enrolment_secret_pkey ON public.enrolment_secret USING btree (id)
CREATE UNIQUE INDEX enrolment_secret_seq_key ON public.enrolment_secret USING btree (seq)
CREATE UNIQUE INDEX enrolment_secret_lookup_key ON public.enrolment_secret USING btree (lookup)
CREATE UNIQUE INDEX event_pkey ON public.event USING btree (workspace_id, seq)
CREATE INDEX event_purge ON public.event USING btree (purge_after) WHERE (purge_after IS NOT NULL)
CREATE INDEX event_subject ON public.event USING btree (workspace_id, subject_id, seq)
CREATE UNIQUE INDEX event_workspace_id_key_key ON public.event USING btree (workspace_id, key)
CREATE UNIQUE INDEX fact_pkey ON public.fact USING btree (agent_id, epoch, seq)
CREATE UNIQUE INDEX host_pkey ON public.host USING btree (id)
CREATE UNIQUE INDEX host_public_key_key ON public.host USING btree (public_key)
CREATE UNIQUE INDEX host_join_pkey ON public.host_join USING btree (id)
CREATE UNIQUE INDEX hosting_pkey ON public.hosting USING btree (workspace_id)
CREATE UNIQUE INDEX idempotency_pkey ON public.idempotency USING btree (workspace_id, principal_id, route, key)
CREATE INDEX idempotency_purge ON public.idempotency USING btree (purge_after)
CREATE UNIQUE INDEX identity_pkey ON public.identity USING btree (id)
CREATE INDEX identity_user ON public.identity USING btree (user_id)
CREATE UNIQUE INDEX identity_seq_key ON public.identity USING btree (seq)
CREATE UNIQUE INDEX identity_subject ON public.identity USING btree (kind, issuer, subject) WHERE (unlinked_at IS NULL)
CREATE UNIQUE INDEX input_pkey ON public.input USING btree (id)
CREATE INDEX input_queue ON public.input USING btree (agent_id, seq) WHERE (state = 'queued'::text)
CREATE UNIQUE INDEX listener_lease_pkey ON public.listener_lease USING btree (name)
CREATE UNIQUE INDEX login_pkey ON public.login USING btree (agent_id, epoch)
CREATE UNIQUE INDEX markdown_log_path ON public.markdown_log USING btree (workspace_id, path)
CREATE UNIQUE INDEX markdown_log_pkey ON public.markdown_log USING btree (context_id, connector_id)
CREATE UNIQUE INDEX memory_note_pkey ON public.memory_note USING btree (id)
CREATE INDEX memory_note_agent ON public.memory_note USING btree (agent_id, seq) WHERE (scope = 'agent'::text)
CREATE UNIQUE INDEX memory_note_seq_key ON public.memory_note USING btree (seq)
CREATE INDEX memory_note_workspace ON public.memory_note USING btree (workspace_id, seq) WHERE (scope = 'workspace'::text)
CREATE UNIQUE INDEX message_pkey ON public.message USING btree (id)
CREATE INDEX message_agent ON public.message USING btree (agent_id, seq)
CREATE UNIQUE INDEX message_seq_key ON public.message USING btree (seq)
CREATE INDEX message_workspace ON public.message USING btree (workspace_id, seq)
CREATE INDEX model_call_list ON public.model_call USING btree (workspace_id, seq)
CREATE INDEX model_call_open ON public.model_call USING btree (workspace_id, agent_id) WHERE (ended_at IS NULL)
CREATE UNIQUE INDEX model_call_pkey ON public.model_call USING btree (id)
CREATE INDEX model_call_agent ON public.model_call USING btree (agent_id, seq)
CREATE UNIQUE INDEX oidc_sync_pkey ON public.oidc_sync USING btree (identity_id)
CREATE UNIQUE INDEX pairing_pkey ON public.pairing USING btree (id)
CREATE UNIQUE INDEX pairing_token ON public.pairing USING btree (token_hash)
CREATE UNIQUE INDEX pairing_seq_key ON public.pairing USING btree (seq)
CREATE INDEX pairing_subject ON public.pairing USING btree (connector_id, subject)
CREATE UNIQUE INDEX pairing_guard_pkey ON public.pairing_guard USING btree (who)
CREATE UNIQUE INDEX panel_link_pkey ON public.panel_link USING btree (token_hash)
CREATE INDEX panel_link_expires_at ON public.panel_link USING btree (expires_at)
CREATE UNIQUE INDEX panel_session_pkey ON public.panel_session USING btree (token_hash)
CREATE INDEX panel_session_expires_at ON public.panel_session USING btree (expires_at)
CREATE UNIQUE INDEX policy_pkey ON public.policy USING btree (id)
CREATE UNIQUE INDEX policy_seq_key ON public.policy USING btree (seq)
CREATE UNIQUE INDEX policy_workspace_id_id_key ON public.policy USING btree (workspace_id, id)
CREATE UNIQUE INDEX policy_workspace_id_version_key ON public.policy USING btree (workspace_id, version)
CREATE UNIQUE INDEX policy_request_pkey ON public.policy_request USING btree (seq)
CREATE INDEX policy_request_purge ON public.policy_request USING btree (at)
CREATE INDEX policy_request_recent ON public.policy_request USING btree (workspace_id, seq DESC)
CREATE INDEX post_due ON public.post USING btree (connector_id, seq) WHERE (state = 'queued'::text)
CREATE UNIQUE INDEX post_pkey ON public.post USING btree (id)
CREATE INDEX post_edits ON public.post USING btree (edits_key) WHERE (edits_key IS NOT NULL)
CREATE INDEX post_purge ON public.post USING btree (created_at)
CREATE INDEX post_queue ON public.post USING btree (connector_id, place, seq) WHERE (state = ANY (ARRAY['queued'::text, 'sending'::text]))
CREATE UNIQUE INDEX post_key_key ON public.post USING btree (key)
CREATE UNIQUE INDEX post_seq_key ON public.post USING btree (seq)
CREATE INDEX post_waiting ON public.post USING btree (connector_id, place) WHERE ((state = 'queued'::text) AND (not_before IS NOT NULL))
CREATE INDEX post_attention ON public.post USING btree (connector_id, seq) WHERE (state = ANY (ARRAY['uncertain'::text, 'failed'::text]))
CREATE UNIQUE INDEX prompt_pkey ON public.prompt USING btree (id)
CREATE INDEX prompt_agent ON public.prompt USING btree (agent_id, epoch) WHERE (closed_at IS NULL)
CREATE UNIQUE INDEX role_binding_once ON public.role_binding USING btree (user_id, role, place, COALESCE(workspace_id, ''::text), COALESCE(context_id, ''::text), COALESCE(thing, ''::text)) WHERE (revoked_at IS NULL)
CREATE UNIQUE INDEX role_binding_pkey ON public.role_binding USING btree (id)
CREATE UNIQUE INDEX role_binding_seq_key ON public.role_binding USING btree (seq)
CREATE UNIQUE INDEX slot_pkey ON public.slot USING btree (id)
CREATE INDEX slot_queue ON public.slot USING btree (pool, state, seq) WHERE (state <> 'released'::text)
CREATE UNIQUE INDEX slot_holder ON public.slot USING btree (pool, holder_id) WHERE (state <> 'released'::text)
CREATE UNIQUE INDEX slot_pool_pkey ON public.slot_pool USING btree (pool)
CREATE INDEX spawn_list ON public.spawn USING btree (workspace_id, seq)
CREATE UNIQUE INDEX spawn_pkey ON public.spawn USING btree (id)
CREATE INDEX spawn_asked ON public.spawn USING btree (approval_id) WHERE (state = 'asked'::text)
CREATE UNIQUE INDEX spawn_workspace_id_request_id_key ON public.spawn USING btree (workspace_id, request_id)
CREATE INDEX standing_approval_list ON public.standing_approval USING btree (workspace_id, seq)
CREATE UNIQUE INDEX standing_approval_pkey ON public.standing_approval USING btree (id)
CREATE INDEX standing_approval_match ON public.standing_approval USING btree (workspace_id, template_hash) WHERE ((activated_at IS NOT NULL) AND (revoked_at IS NULL))
CREATE UNIQUE INDEX standing_approval_seq_key ON public.standing_approval USING btree (seq)
CREATE INDEX usage_sum ON public.usage USING btree (workspace_id, day, kind) INCLUDE (quantity)
CREATE UNIQUE INDEX usage_pkey ON public.usage USING btree (workspace_id, key)
CREATE INDEX usage_agent ON public.usage USING btree (agent_id, kind) INCLUDE (quantity)
CREATE UNIQUE INDEX user_account_pkey ON public.user_account USING btree (id)
CREATE UNIQUE INDEX user_account_seq_key ON public.user_account USING btree (seq)
CREATE UNIQUE INDEX vote_pkey ON public.vote USING btree (approval_id, principal_id)
CREATE UNIQUE INDEX vote_nonce_key ON public.vote USING btree (nonce)
CREATE INDEX webhook_list ON public.webhook USING btree (workspace_id, seq)
CREATE UNIQUE INDEX webhook_pkey ON public.webhook USING btree (id)
CREATE UNIQUE INDEX webhook_delivery_pkey ON public.webhook_delivery USING btree (webhook_id, event_seq)
CREATE INDEX webhook_delivery_purge ON public.webhook_delivery USING btree (updated_at)
CREATE INDEX webhook_delivery_state ON public.webhook_delivery USING btree (webhook_id, state, event_seq)
CREATE UNIQUE INDEX webhook_receipt_pkey ON public.webhook_receipt USING btree (webhook_id, message_id)
CREATE INDEX webhook_receipt_purge ON public.webhook_receipt USING btree (purge_after)
CREATE INDEX webhook_receipt_subject ON public.webhook_receipt USING btree (webhook_id, subject, sent_at DESC)
CREATE UNIQUE INDEX workspace_pkey ON public.workspace USING btree (id)
CREATE UNIQUE INDEX workspace_slug_key ON public.workspace USING btree (slug)
CREATE UNIQUE INDEX workspace_counter_pkey ON public.workspace_counter USING btree (workspace_id)
CREATE UNIQUE INDEX workspace_limit_pkey ON public.workspace_limit USING btree (workspace_id)
CREATE UNIQUE INDEX workspace_spend_pkey ON public.workspace_spend USING btree (workspace_id, day)
CREATE OR REPLACE FUNCTION public.append_record(p_workspace text, p_events jsonb, p_audits jsonb)
 RETURNS TABLE(first_seq bigint, last_seq bigint, known text[])
 LANGUAGE plpgsql
AS $function$
declare
  v_events integer := jsonb_array_length(p_events);
  v_audits integer := jsonb_array_length(p_audits);
  v_known text[] := '{}';
  v_counter workspace_counter%rowtype;
  v_entry record;
  v_hash text;
begin
  update workspace_counter as c set event_seq = c.event_seq + v_events
    where c.workspace_id = p_workspace returning c.* into v_counter;
  if not found then
    raise exception 'workspace % has no counter', p_workspace using errcode = 'foreign_key_violation';
  end if;

  if v_events > 0 then
    select coalesce(array_agg(e.key), '{}') into v_known from event e
      where e.workspace_id = p_workspace
        and e.key = any(array(select i.key from jsonb_to_recordset(p_events) as i (key text)));
    if v_known <> '{}' then
      v_events := v_events - cardinality(v_known);
      update workspace_counter as c set event_seq = c.event_seq - cardinality(v_known)
        where c.workspace_id = p_workspace returning c.* into v_counter;
    end if;
    insert into event (workspace_id, seq, key, type, version, subject_id, data, purge_after)
      select p_workspace, v_counter.event_seq - v_events + row_number() over (),
        i.key, i.type, i.version, i."subjectId", i.data, i."purgeAfter"
      from jsonb_to_recordset(p_events) as i (key text, type text, version integer,
        "subjectId" text, data jsonb, "purgeAfter" timestamptz)
      where v_known = '{}' or i.key <> all (v_known);
    if v_events > 0 then
      perform pg_notify('rookery_event', p_workspace || ' ' || v_counter.event_seq);
    end if;
  end if;

  if v_audits > 0 then
    for v_entry in
      select i.* from jsonb_to_recordset(p_audits) as i (key text, at timestamptz, "actorKind" text,
        "actorId" text, action text, "subjectId" text, canonical text)
      where not exists (
        select from audit a where a.workspace_id = p_workspace and a.key = i.key)
    loop
      v_counter.audit_seq := v_counter.audit_seq + 1;
      v_hash := encode(sha256(convert_to(
        v_counter.audit_head || E'\n' || v_counter.audit_seq || E'\n' || v_entry.canonical,
        'UTF8')), 'hex');
      insert into audit (workspace_id, seq, key, at, actor_kind, actor_id, action, subject_id,
          canonical, prev_hash, hash)
        values (p_workspace, v_counter.audit_seq, v_entry.key, v_entry.at, v_entry."actorKind",
          v_entry."actorId", v_entry.action, v_entry."subjectId", v_entry.canonical,
          v_counter.audit_head, v_hash);
      v_counter.audit_head := v_hash;
    end loop;
    update workspace_counter as c
      set audit_seq = v_counter.audit_seq, audit_head = v_counter.audit_head
      where c.workspace_id = p_workspace;
  end if;

  return query select v_counter.event_seq - v_events + 1, v_counter.event_seq, v_known;
end $function$

CREATE OR REPLACE FUNCTION public.definition_version_stays()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  raise exception 'a version of a definition is never changed';
end $function$

CREATE OR REPLACE FUNCTION public.grant_slots(p_pool text, p_lease interval)
 RETURNS SETOF slot
 LANGUAGE plpgsql
AS $function$
declare
  v_pool slot_pool%rowtype;
  v_free integer;
begin
  select * into v_pool from slot_pool where pool = p_pool for update;
  if not found then return; end if;
  update slot set state = 'released', released_at = clock_timestamp()
    where pool = p_pool and state = 'granted' and lease_until < clock_timestamp();
  select v_pool.cap - count(*) into v_free from slot where pool = p_pool and state = 'granted';
  if v_free <= 0 then return; end if;
  return query
    with chosen as (
      select s.id, v_pool.fence + row_number() over (order by s.seq) as fence
      from (select q.id, q.seq from slot q where q.pool = p_pool and q.state = 'queued'
            order by q.seq limit v_free) s
    ), granted as (
      update slot s set state = 'granted', fence = c.fence, granted_at = clock_timestamp(),
          lease_until = clock_timestamp() + p_lease
        from chosen c where s.id = c.id returning s.*
    ), counted as (
      update slot_pool p set fence = greatest(p.fence, (select max(g.fence) from granted g))
        where p.pool = p_pool and exists (select from granted)
    )
    select * from granted order by seq;
end $function$

CREATE OR REPLACE FUNCTION public.policy_is_fixed()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  raise exception 'a version of a policy never changes';
end
$function$

CREATE OR REPLACE FUNCTION public.release_slot(p_pool text, p_holder text, p_lease interval)
 RETURNS SETOF slot
 LANGUAGE plpgsql
AS $function$
begin
  perform 1 from slot_pool where pool = p_pool for update;
  update slot set state = 'released', released_at = clock_timestamp()
    where pool = p_pool and holder_id = p_holder and state <> 'released';
  return query select * from grant_slots(p_pool, p_lease);
end $function$

CREATE OR REPLACE FUNCTION public.request_slot(p_id text, p_pool text, p_holder text, p_cap integer, p_lease interval)
 RETURNS SETOF slot
 LANGUAGE plpgsql
AS $function$
begin
  insert into slot_pool (pool, cap) values (p_pool, p_cap)
    on conflict (pool) do update set cap = excluded.cap;
  insert into slot (id, pool, holder_id) values (p_id, p_pool, p_holder) on conflict do nothing;
  return query select * from grant_slots(p_pool, p_lease);
end $function$

