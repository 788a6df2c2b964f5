import { pino } from 'pino';
import { listenForEvents } from '../../../infra/db/listen.ts';
import { openDatabase } from '../../../infra/db/pool.ts';
import { startMarkdownRecords } from '../../../workers/listeners/markdown-records.ts';

// A process that writes records until it is killed: arguments are the address of the database and the folder.
const [, , url = '', root = ''] = process.argv;
const { db } = openDatabase({ url, name: 'markdown' });
startMarkdownRecords({
  db,
  events: await listenForEvents({ url }),
  root,
  log: pino({ level: 'silent' }),
});
