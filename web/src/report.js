// What the last operation took, told by the fetcher and shown by the panel.
import { useSyncExternalStore } from "react";

let last = null;
const readers = new Set();

/** `name`, `id` where it ran by one; `cost` and `sql` as the gateway reports them, else nothing. */
export function tell(report) {
  last = report;
  readers.forEach((read) => read());
}

export function useReport() {
  return useSyncExternalStore(
    (read) => {
      readers.add(read);
      return () => readers.delete(read);
    },
    () => last,
  );
}
