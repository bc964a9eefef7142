/** The product's version, also of its images and chart. */
export const VERSION = '0.1.0';
