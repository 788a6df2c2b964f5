/** The log of a chat as a file. It lies where it was begun, whatever its chat and connector are called later. */
export interface MarkdownLogTable {
  context_id: string;
  connector_id: string;
  workspace_id: string;
  /** Below the workspace's folder of logs. */
  path: string;
  /** Of the last event that was written; the file itself says it too, and is believed first. */
  seq: number;
}

export interface MarkdownTables {
  markdown_log: MarkdownLogTable;
}
