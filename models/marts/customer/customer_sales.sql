-- partitioned by month so that an increment writes the touched months only; bucketed so
-- that readers join and group by customer without a shuffle
{{ config(
    partition_by=['sales_month'],
    clustered_by=['customer_id'],
    buckets=10,
    pre_hook='{{ drop_touched_months("sales_month") }}'
) }}

with

sales as (

    select * from {{ ref('fct_sales') }}

    {%- if is_incremental() %}

    where {{ is_in_touched_month('sales_month') }}
    {%- endif %}

    -- one task writes one bucket of a month, so a month has at most one file a bucket;
    -- rows move before they are made wide
    distribute by sales_month, pmod(hash(customer_id), 10)

),

customers as (

    select * from {{ ref('dim_customers') }}

),

customer_sales as (

    select
        sales.customer_id,
        {{ or_unknown('customers.full_name', 'customers.customer_id') }} as full_name,
        {{ or_unknown('customers.address', 'customers.customer_id') }} as address,
        {{ or_unknown('customers.phone_number', 'customers.customer_id') }}
            as phone_number,
        sales.store_id,
        sales.sales_person_id,
        sales.product_name,
        sales.sales_date,
        sales.price,
        sales.quantity,
        sales.total_cost,
        coalesce(customers.is_known, false) as is_known_customer,
        if(customers.is_known, customers.customer_id, -1) as customer_key,
        sales.file_id,
        sales.line_number,
        sales.sales_month

    from sales

    left join customers on sales.customer_id = customers.customer_id

)

select * from customer_sales
