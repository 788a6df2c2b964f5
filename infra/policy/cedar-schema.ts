/**
 * What policies can speak about, in Cedar's own words; each policy is checked against it before it is kept. Who asks
 * is in each role that is his or below it, so that `principal in Role::"operator"` means operators and better.
 */
export const CEDAR_SCHEMA = `
entity Role enum ["overlord", "admin", "operator", "member", "viewer"];

entity User, Agent, System in [Role];

entity Workspace, Context, Spawn, Definition, Connector, Prompt, Thing;

type Facts = {
  // "low", "medium" or "high"
  risk: String,
  // "public", "internal", "private" or "untrusted"
  dataClass: String,
  // what it is for, in the asker's words; never trusted
  intent: String,
  // the tool, or the program of a command; "" where there is none
  tool: String,
  // the whole of what would be run, said or changed
  subject: String,
  recipients: Set<String>,
  // whether the agent's session is isolated from the machine
  isolated: Bool,
  // false where what a program showed was cut
  payloadComplete: Bool,
  // where it was asked; "" outside of any context
  contextId: String,
  // whether the resource is the context where it was asked
  inOwnContext: Bool,
};

action "agent.prompt", "agent.spawn", "agent.grant", "agent.question", "chat.post" appliesTo {
  principal: [User, Agent, System],
  resource: [User, Agent, Workspace, Context, Spawn, Definition, Connector, Prompt, Thing],
  context: Facts,
};
`;
