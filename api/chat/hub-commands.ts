import { type ChatCommand } from './command.ts';
export const hubCommands: readonly ChatCommand[] = [];
