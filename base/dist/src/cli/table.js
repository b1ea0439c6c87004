/**
 * Tables for people: aligned, headed, as wide as the terminal. A table that does not fit loses its least important columns
 * first, then cuts its longest cells; into a pipe it is never cut.
 */
import { createColors } from 'picocolors';
import { printable } from './format.js';
const GAP = '  ';
const CELL_MIN = 8;
/** Text with a line for the head and one a row, each ended by a newline. */
export function table(columns, rows, style) {
    const laid = layOut(columns, rows, style.width);
    return tableHead(laid, style) + tableRows(laid, rows);
}
/** Chooses columns and widths from some rows; later rows are cut to fit only on a terminal. */
export function layOut(columns, rows, width) {
    let laid = columns.map((column) => ({ ...column, width: rows.reduce((max, row) => Math.max(max, cell(column, row).length), column.title.length) }));
    if (width === null)
        return { columns: laid };
    const total = () => laid.reduce((sum, c) => sum + c.width, GAP.length * (laid.length - 1));
    while (total() > width) {
        const worst = laid.reduce((a, b) => ((b.drop ?? 0) > (a.drop ?? 0) ? b : a));
        if ((worst.drop ?? 0) === 0)
            break;
        laid = laid.filter((c) => c !== worst);
    }
    while (total() > width) {
        const longest = laid.reduce((a, b) => (b.width > a.width ? b : a));
        if (longest.width <= CELL_MIN)
            break;
        longest.width--;
    }
    return { columns: laid };
}
export function tableHead({ columns }, { color }) {
    return `${createColors(color).bold(line(columns.map((c) => pad(c.title, c.width, c.align)))).trimEnd()}\n`;
}
export function tableRows({ columns }, rows, cutCells = true) {
    return rows.map((row) => `${line(columns.map((c) => pad(clip(cell(c, row), cutCells ? c.width : Infinity), c.width, c.align)))}\n`).join('');
}
const cell = (column, row) => printable(column.value(row));
const line = (cells) => cells.join(GAP).trimEnd();
const clip = (text, width) => (text.length <= width ? text : `${text.slice(0, width - 1)}…`);
const pad = (text, width, align = 'left') => (align === 'left' ? text.padEnd(width) : text.padStart(width));
/** `key  value` lines, keys aligned; the third, if any, colours the value. */
export function fields(pairs) {
    const width = pairs.reduce((max, [key]) => Math.max(max, key.length), 0);
    return pairs.map(([key, value, paint = (text) => text]) => `${key.padEnd(width)}  ${paint(printable(value))}`.trimEnd() + '\n').join('');
}
//# sourceMappingURL=table.js.map