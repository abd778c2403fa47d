-- a table: the rules are costly, and both the quarantine and the verdict on a file need
-- the result
{{ config(materialized='table') }}

with

sales as (

    select * from {{ ref('int_sales_checked') }}

    where {{ is_in_scope('batch_id') }}

),

int_sales_rejected as (

    select *

    from sales

    where is_rejected

)

select * from int_sales_rejected
