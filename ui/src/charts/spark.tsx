/** A line without axes, for tables. */
export function Spark({
  values,
  label,
  width = 96,
  height = 24,
}: {
  values: (number | null)[];
  label: string;
  width?: number;
  height?: number;
}) {
  const top = Math.max(1e-9, ...values.map((v) => v ?? 0)) * 1.1;
  let path = '';
  let pen = false;
  values.forEach((v, i) => {
    if (v === null) {
      pen = false;
      return;
    }
    const x = (i / Math.max(1, values.length - 1)) * width;
    const y = height - 1 - (v / top) * (height - 2);
    path += `${pen ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = true;
  });
  return (
    <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
      <path d={path} fill="none" stroke="var(--accent)" strokeWidth="1.4" />
    </svg>
  );
}
