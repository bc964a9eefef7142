export function dashboardStamp(root?: string): string;
export function needsDashboard(root?: string): boolean;
export function ensureDashboard(node: string): Promise<void>;
