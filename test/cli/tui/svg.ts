import stringWidth from 'string-width';
import type { Line, Tone } from '../../../cli/tui/model.ts';

const CELL_WIDTH = 8;
const CELL_HEIGHT = 17;
const LEFT = 18;
const TOP = 46;
const FONT =
  "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace";
const COLORS: Readonly<Record<Tone, string>> = {
  plain: '#d7dbe0',
  dim: '#7d8590',
  strong: '#ffffff',
  good: '#3fb950',
  warn: '#d29922',
  bad: '#f85149',
  accent: '#56d4dd',
  title: '#ffffff',
};

/** A picture of a frame, as a terminal with colours shows it. */
export function svgOf(
  lines: readonly Line[],
  { title, columns }: { title: string; columns: number },
): string {
  const width = LEFT * 2 + columns * CELL_WIDTH;
  const height = TOP + lines.length * CELL_HEIGHT + 12;
  const texts = lines.flatMap((line, row) => {
    let column = 0;
    return line.flatMap(({ text, tone = 'plain' }) => {
      const at = column;
      column += stringWidth(text);
      if (text.trim() === '') return [];
      const lead = text.length - text.trimStart().length;
      const shown = text.trim();
      const x = LEFT + (at + lead) * CELL_WIDTH;
      const y = TOP + row * CELL_HEIGHT + 12.5;
      const weight = tone === 'strong' || tone === 'title' ? ' font-weight="bold"' : '';
      return [
        `<text x="${x}" y="${y}" fill="${COLORS[tone]}"${weight} textLength="${stringWidth(shown) * CELL_WIDTH}">${escaped(shown)}</text>`,
      ];
    });
  });
  const dots = ['#ff5f57', '#febc2e', '#28c840'].map(
    (color, index) => `<circle cx="${20 + index * 20}" cy="18" r="6" fill="${color}"/>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img"><title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" rx="8" fill="#14171c"/>${dots.join('')}`,
    `<text x="${width / 2}" y="23" text-anchor="middle" fill="#8b93a1" font-family="${FONT}" font-size="13">${escaped(title)}</text>`,
    `<g font-family="${FONT}" font-size="13" xml:space="preserve">`,
    ...texts,
    '</g></svg>',
    '',
  ].join('\n');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
