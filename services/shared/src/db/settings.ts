/** Settings in `meta` that more than one service reads. */

/** Whole months of the request log that are kept besides the present one. */
export const REQUEST_LOG_MONTHS = 'setting_request_log_months';
export const REQUEST_LOG_MONTHS_DEFAULT = 13;
