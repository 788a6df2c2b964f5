/**
 * Every span that Rookery makes, by what it is about. HTTP names follow OpenTelemetry's conventions for HTTP, those of
 * model calls the ones for generative AI.
 */
export const SPAN_NAMES = {
  httpRequest: (method: string, route: string) => `${method} ${route}`,
  startWorkflow: (workflow: string) => `start ${workflow}`,
  signalWorkflow: (signal: string) => `signal ${signal}`,
  updateWorkflow: (update: string) => `update ${update}`,
  activity: (activity: string) => `activity ${activity}`,
  hostRequest: (method: string, route: string) => `host ${method} ${route}`,
  hostCall: (method: string, route: string) => `call host ${method} ${route}`,
  modelCall: (operation: string, model: string) => `${operation} ${model}`,
  toolCall: (tool: string) => `execute_tool ${tool}`,
  policyDecision: (action: string) => `policy ${action}`,
} as const;

/** Which part of Rookery made a span: the name of its instrumentation scope. */
export type SpanScope =
  | 'rookery.api'
  | 'rookery.temporal'
  | 'rookery.worker'
  | 'rookery.host'
  | 'rookery.gateway'
  | 'rookery.mcp'
  | 'rookery.policy';

/**
 * All that a span may say. Ids, names, numbers: what a terminal shows, what people type and what models write has no
 * attribute, and so cannot get into a trace.
 */
export interface SpanFacts {
  readonly agentId?: string;
  readonly workspaceId?: string;
  readonly spawnId?: string;
  readonly approvalId?: string;
  readonly inputId?: string;
  readonly taskId?: string;
  readonly hostId?: string;
  readonly epoch?: number;
  readonly requestId?: string;
  /** Name of the route in the API's table. */
  readonly route?: string;
  readonly httpMethod?: string;
  readonly httpRoute?: string;
  readonly httpStatus?: number;
  readonly workflow?: string;
  readonly workflowId?: string;
  readonly activity?: string;
  readonly attempt?: number;
  readonly taskQueue?: string;
  /** `chat`, `generate_content` and so on. */
  readonly operation?: string;
  readonly provider?: string;
  readonly model?: string;
  readonly responseModel?: string;
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  readonly tool?: string;
  readonly policyVerdict?: string;
  readonly policyRule?: string;
  readonly policyVersion?: number;
  /** One of our error codes, or a class of failure: never a message. */
  readonly errorCode?: string;
}

const ATTRIBUTES = {
  agentId: 'rookery.agent.id',
  workspaceId: 'rookery.workspace.id',
  spawnId: 'rookery.spawn.id',
  approvalId: 'rookery.approval.id',
  inputId: 'rookery.input.id',
  taskId: 'rookery.task.id',
  hostId: 'rookery.host.id',
  epoch: 'rookery.agent.epoch',
  requestId: 'rookery.request.id',
  route: 'rookery.route',
  httpMethod: 'http.request.method',
  httpRoute: 'http.route',
  httpStatus: 'http.response.status_code',
  workflow: 'temporal.workflow.type',
  workflowId: 'temporal.workflow.id',
  activity: 'temporal.activity.type',
  attempt: 'temporal.activity.attempt',
  taskQueue: 'temporal.task_queue',
  operation: 'gen_ai.operation.name',
  provider: 'gen_ai.provider.name',
  model: 'gen_ai.request.model',
  responseModel: 'gen_ai.response.model',
  inputTokens: 'gen_ai.usage.input_tokens',
  outputTokens: 'gen_ai.usage.output_tokens',
  tool: 'gen_ai.tool.name',
  policyVerdict: 'rookery.policy.verdict',
  policyRule: 'rookery.policy.rule',
  policyVersion: 'rookery.policy.version',
  errorCode: 'error.type',
} as const satisfies Record<keyof SpanFacts, string>;

const KEYS: ReadonlyMap<string, string> = new Map(Object.entries(ATTRIBUTES));

/** Names come from callers, and one of a thousand characters is no name. */
const TEXT_LENGTH_MAX = 200;

export function attributesOf(facts: SpanFacts): Record<string, string | number> {
  const attributes: Record<string, string | number> = {};
  for (const [name, value] of Object.entries<string | number | undefined>({ ...facts })) {
    const key = KEYS.get(name);
    if (key === undefined || value === undefined) continue;
    attributes[key] = typeof value === 'string' ? value.slice(0, TEXT_LENGTH_MAX) : value;
  }
  return attributes;
}
