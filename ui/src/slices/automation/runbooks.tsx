export function Runbooks() {
  return null;
}
