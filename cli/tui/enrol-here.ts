import { Writable } from 'node:stream';
import { enrol } from '../commands/enrol.ts';
import { parseUrl } from '../connection.ts';
import type { Context } from '../context.ts';

export interface EnrolWish {
  readonly url: string;
  readonly secret: string;
  readonly label: string;
  readonly replace: boolean;
}

/** As `rookery enrol` does it. Answers what that says. */
export async function enrolHere({ io, flags }: Context, wish: EnrolWish): Promise<string> {
  const said: string[] = [];
  const stdout = new Writable({
    write(chunk, _encoding, done) {
      said.push(String(chunk));
      done();
    },
  });
  const { dataDir } = flags;
  await enrol(
    { ...io, stdout },
    {
      url: parseUrl(wish.url),
      secret: wish.secret,
      flags: {
        ...(wish.label === '' ? {} : { label: wish.label }),
        ...(wish.replace ? { replace: true } : {}),
        ...(dataDir === undefined ? {} : { dataDir }),
      },
    },
  );
  return said.join('').trim();
}
