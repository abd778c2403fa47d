with

customer_months as (

    select * from {{ ref('customers_data_mart') }}

),

customers as (

    select
        customer_id,
        min(first_sales_date) as first_sales_date,
        max(last_sales_date) as last_sales_date,
        sum(days_with_sales) as visits,
        sum(sales_count) as sales_count,
        sum(total_sales) as total_sales,
        -- the last month's row: the first field decides which struct is greatest
        max(struct(sales_date_month, total_sales, full_name, is_known_customer))
            as last_month

    from customer_months

    group by customer_id

),

rpt_sales_by_customer as (

    select
        customers.customer_id,
        customers.last_month.full_name,
        customers.last_month.is_known_customer,
        customers.first_sales_date,
        customers.last_sales_date,
        customers.visits,
        customers.sales_count,
        cast(customers.total_sales as decimal(28, 2)) as total_sales,
        customers.last_month.sales_date_month as last_sales_month,
        customers.last_month.total_sales as last_month_sales,
        -- month over month compares calendar months: a month without a purchase counts
        -- as nothing bought
        cast(
            customers.last_month.total_sales - coalesce(previous_month.total_sales, 0)
            as decimal(28, 2)
        ) as change_to_previous_month

    from customers

    left join customer_months as previous_month
        on
            customers.customer_id = previous_month.customer_id
            and {{ month_before('customers.last_month.sales_date_month') }}
            = previous_month.sales_date_month

)

select * from rpt_sales_by_customer
