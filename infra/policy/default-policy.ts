/** The built-in policy in the language of policies: what to begin with when a workspace is to have its own. */
export const DEFAULT_CEDAR = `// What Rookery does where a workspace has no policy of its own.

@id("untrusted-asks")
@decision("escalate")
@reason("It goes back to text that a stranger wrote, so a person looks first.")
permit (principal, action in [Action::"agent.spawn", Action::"chat.post"], resource)
when { context.dataClass == "untrusted" };

@id("person-spawns")
@reason("An operator may start agents.")
permit (principal is User in Role::"operator", action == Action::"agent.spawn", resource);

@id("private-post-asks")
@decision("escalate")
@reason("It holds what is private, and others may read along in a chat.")
permit (principal, action == Action::"chat.post", resource)
when { context.dataClass == "private" };

@id("doubtful-post-asks")
@decision("escalate")
@reason("Its risk is high, or not all of it could be read.")
permit (principal, action == Action::"chat.post", resource)
when { context.risk == "high" || !context.payloadComplete };

@id("own-context-post")
@reason("An answer where the question was asked.")
permit (principal, action == Action::"chat.post", resource is Context)
when { context.inOwnContext };

// Without this line, what no policy speaks about would be denied. With it alone, everything would be asked.
@id("people-decide")
@decision("escalate")
@reason("People decide.")
permit (principal, action, resource)
unless
{
  (action == Action::"agent.spawn" && principal is User && principal in Role::"operator") ||
  (action == Action::"chat.post" && context.inOwnContext)
};
`;
